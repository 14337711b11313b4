package main

import (
	"fmt"
	"slices"

	"fishplate/tests/clients/go/play"
)

// What a scenario asks of a library. A scenario panics where one fails, unless it looks at the error.
type library interface {
	create(topic string, partitions int32, replicas int16, configs map[string]string) error
	grow(topic string, partitions int32) error
	delete(topic string) error
	topics() ([]string, error)
	// Some of a topic's.
	configs(topic string, names []string) (map[string]string, error)
	cluster(topics []string) (cluster, error)

	writer(how sending) (writer, error)
	// The first offset and the one behind the last.
	ends(at play.Place) (int64, int64, error)
	// The first offset at that time (ms) or later; -1 where there is none.
	offsetAt(at play.Place, time int64) (int64, error)
	// Reads a partition from this offset on, or from earliest or latest. What is sent when it is back will be read.
	reader(at play.Place, from int64) (reader, error)

	// A member of a group that reads both topics from their beginning and commits what it has read.
	join(group string, topics []string, how joining, took func(record)) (member, error)
	// The committed offsets, -1 where there is none.
	committed(group string, places []play.Place) ([]int64, error)
	// How often it is told of each.
	groups() (map[string]int, error)
	group(name string) (group, error)
	deleteGroup(name string) error
	coordinator(group string) (node, error)
	// Whether its producer can be.
	isIdempotent() bool

	// The library's own name of an error that Kafka told; what it says of others.
	nameOf(err error) string
	close()
}

const (
	earliest = -2
	latest   = -1
)

type writer interface {
	// Sends records in order and waits for them; their offsets, where the library tells them.
	send(records []record) ([]int64, error)
	close() error
}

type sending struct {
	codec      string // none, gzip, snappy, lz4, zstd
	acks       int    // 0, 1, -1
	idempotent bool   // if the library can
	together   int    // so many records are one batch, if the library can
	bold       bool   // takes records that are larger than a broker does
}

type reader interface {
	next(count int) ([]record, error)
	seek(offset int64) error
	close() error
}

type joining struct {
	cooperative bool
	instance    string
}

type member interface {
	has() []play.Place
	leave()
}

type header struct {
	key   string
	value []byte
}

type record struct {
	at         play.Place
	offset     int64
	key, value []byte
	headers    []header
	time       int64 // ms; 0: now
}

type node struct {
	ID   int32  `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
}

type cluster struct {
	id         string // empty where the library does not tell it
	nodes      []node
	controller int32
	leaders    map[string][]int32
}

type group struct {
	state    string
	protocol string   // empty where the library does not tell it
	members  []string // a client's id and what it has, by aliases
	places   [][]play.Place
}

type stage struct {
	*play.Stage
	client library
}

// Creates both topics and waits until the leaders lead.
func (s *stage) create(partitions int32, configs map[string]string) {
	for _, topic := range s.Topics {
		play.Must(s.client.create(topic, partitions, 1, configs))
	}
	s.Until("topics have leaders", func() bool {
		return !slices.ContainsFunc(s.Places(partitions), func(at play.Place) bool {
			_, _, err := s.client.ends(at)
			return err != nil
		})
	})
}

// Sends records by a producer of their own.
func (s *stage) send(how sending, records []record) ([]int64, error) {
	w, err := s.client.writer(how)
	play.Must(err)
	offsets, err := w.send(records)
	closed := w.close()
	if err == nil {
		err = closed
	}
	return offsets, err
}

// Sends `count` records to each partition, record i with the value `prefix-i`.
func (s *stage) fill(prefix string, partitions int32, count int) {
	var records []record
	for i := range count {
		for _, at := range s.Places(partitions) {
			records = append(records, record{at: at, value: fmt.Append(nil, prefix, "-", i)})
		}
	}
	_, err := s.send(sending{acks: -1, together: len(records)}, records)
	play.Must(err)
}

// So many records of a partition, from there on.
func (s *stage) read(at play.Place, from int64, count int, ready func()) []record {
	r, err := s.client.reader(at, from)
	play.Must(err)
	defer r.close()
	ready()
	records, err := r.next(count)
	play.Must(err)
	return records
}

// What is in partitions from their beginning to their present end, by their aliases.
func (s *stage) contents(partitions int32, shown func([]record) any) map[string]any {
	all := map[string]any{}
	for _, at := range s.Places(partitions) {
		first, end, err := s.client.ends(at)
		play.Must(err)
		var records []record
		if end > first {
			records = s.read(at, earliest, int(end-first), func() {})
		}
		all[s.Alias(at)] = shown(records)
	}
	return all
}
