package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// What a scenario asks of a library. A scenario panics where one fails, unless it looks at the error.
type library interface {
	create(topic string, partitions int32, configs map[string]string) error
	// Sends records in order and waits for them; their offsets, -1 where there is none.
	send(how sending, records []record) ([]int64, error)
	// The first offset and the one behind the last.
	ends(at place) (int64, int64, error)
	// The first offset at that time (ms) or later; -1 where there is none.
	offsetAt(at place, time int64) (int64, error)
	// So many records of a partition, from this offset on: -2 is the earliest, -1 the latest. Calls ready when a record
	// that is sent afterwards will be read.
	read(at place, from int64, count int, ready func()) ([]record, error)
	// A member of a group that reads both topics from their beginning and commits what it has read.
	join(group string, topics []string, took func(record)) (member, error)
	// The committed offsets, -1 where there is none.
	committed(group string, places []place) ([]int64, error)
	close()
}

type member interface {
	has() []place
	leave()
}

type sending struct {
	codec      string // none, gzip, snappy, lz4, zstd
	acks       int    // 0, 1, -1
	idempotent bool
	together   bool // one batch if the library can
}

type header struct {
	key   string
	value []byte
}

type record struct {
	at         place
	offset     int64
	key, value []byte
	headers    []header
	time       int64 // ms; 0: now
}

// One partition of a topic.
type place struct {
	topic     string
	partition int32
}

type stage struct {
	name    string
	topics  []string // through a proxy they live on two clusters
	groups  []string // likewise
	connect func() library
	client  library

	lock   sync.Mutex
	result map[string]any
}

func (s *stage) saw(what string, value any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.result[what] = value
}

func (s *stage) seen() map[string]any {
	s.lock.Lock()
	defer s.lock.Unlock()
	return maps.Clone(s.result)
}

// Creates both topics and waits until the leaders lead.
func (s *stage) create(partitions int32, configs map[string]string) {
	for _, topic := range s.topics {
		must(s.client.create(topic, partitions, configs))
	}
	s.until("topics have leaders", func() bool {
		return !slices.ContainsFunc(s.places(partitions), func(at place) bool {
			_, _, err := s.client.ends(at)
			return err != nil
		})
	})
}

func (s *stage) places(partitions int32) []place {
	var all []place
	for _, topic := range s.topics {
		for p := range partitions {
			all = append(all, place{topic, p})
		}
	}
	return all
}

// Sends `count` records to each partition, record i with the value `prefix-i`.
func (s *stage) fill(prefix string, partitions int32, count int) {
	var records []record
	for i := range count {
		for _, at := range s.places(partitions) {
			records = append(records, record{at: at, value: fmt.Append(nil, prefix, "-", i)})
		}
	}
	_, err := s.client.send(sending{acks: -1, together: true}, records)
	must(err)
}

// Everything in a partition from its beginning to its present end.
func (s *stage) readAll(at place) []record {
	first, end, err := s.client.ends(at)
	must(err)
	if end == first {
		return nil
	}
	records, err := s.client.read(at, -2, int(end-first), func() {})
	must(err)
	return records
}

// What is in partitions, by their aliases.
func (s *stage) contents(partitions int32, shown func([]record) any) map[string]any {
	all := map[string]any{}
	for _, at := range s.places(partitions) {
		all[s.alias(at)] = shown(s.readAll(at))
	}
	return all
}

// `one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run.
func (s *stage) alias(at place) string {
	return fmt.Sprintf("%s/%d", []string{"one", "two"}[slices.Index(s.topics, at.topic)], at.partition)
}

// Waits until something is so.
func (s *stage) until(what string, so func() bool) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if so() {
			return
		}
	}
	panic("not within 20 s: " + what)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
