package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What one scenario is given: where Kafka is, its own topics and groups, clients, and the place for what it saw.
type stage struct {
	name      string
	bootstrap string
	topics    []string // through a proxy they live on two clusters
	groups    []string // likewise
	cutFile   string
	log       io.Writer
	ctx       context.Context
	cancel    context.CancelFunc
	client    *kgo.Client
	admin     *kadm.Client

	lock   sync.Mutex
	result map[string]any
	raw    map[string]any
}

// One partition of a topic.
type place struct {
	topic     string
	partition int32
}

func newStage(name string, o options) *stage {
	s := &stage{name: name, bootstrap: o.bootstrap, log: o.log, cutFile: o.cut, result: map[string]any{}, raw: map[string]any{}}
	s.ctx, s.cancel = context.WithTimeout(context.Background(), deadline)
	for _, topic := range o.topics {
		s.topics = append(s.topics, topic+"."+name)
	}
	for _, group := range o.groups {
		s.groups = append(s.groups, group+"."+name)
	}
	s.client = s.connect()
	s.admin = kadm.NewClient(s.client)
	return s
}

func (s *stage) close() {
	s.client.Close()
	s.cancel()
}

func (s *stage) saw(what string, value any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.result[what] = value
}

func (s *stage) copyOfResult() map[string]any {
	s.lock.Lock()
	defer s.lock.Unlock()
	return maps.Clone(s.result)
}

func (s *stage) connect(more ...kgo.Opt) *kgo.Client {
	all := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(s.bootstrap, ",")...),
		kgo.ClientID("scenario-" + s.name),
		kgo.WithLogger(kgo.BasicLogger(s.log, kgo.LogLevelDebug, nil)),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.HeartbeatInterval(300 * time.Millisecond),
	}
	client, err := kgo.NewClient(append(all, more...)...)
	must(err)
	return client
}

// Creates both topics and waits until the leaders lead: sooner, Kafka itself refuses a producer's first batch and may
// take the second.
func (s *stage) create(partitions int32, configs map[string]string) {
	given := map[string]*string{}
	for key, value := range configs {
		given[key] = &value
	}
	made, err := s.admin.CreateTopics(s.ctx, partitions, 1, given, s.topics...)
	must(err)
	for _, topic := range made {
		must(topic.Err)
	}
	s.until("topics have leaders", func() bool {
		ends, err := s.admin.ListEndOffsets(s.ctx, s.topics...)
		led := 0
		ends.Each(func(end kadm.ListedOffset) {
			if end.Err == nil {
				led++
			}
		})
		return err == nil && led == int(partitions)*len(s.topics)
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

// Sends `count` records to each partition, record i with the value `prefix-i`, and waits for their acknowledgement.
func (s *stage) fill(prefix string, partitions int32, count int) {
	client := s.connect()
	defer client.Close()
	var records []*kgo.Record
	for i := range count {
		for _, at := range s.places(partitions) {
			records = append(records, record(at, fmt.Sprint(prefix, "-", i)))
		}
	}
	must(client.ProduceSync(s.ctx, records...).FirstErr())
}

func record(at place, value string) *kgo.Record {
	return &kgo.Record{Topic: at.topic, Partition: at.partition, Value: []byte(value)}
}

// Everything in these partitions from their beginning to their present end.
func (s *stage) readAll(from []place) map[place][]*kgo.Record {
	ends, err := s.admin.ListEndOffsets(s.ctx, s.topics...)
	must(err)
	left := int64(0)
	start := map[string]map[int32]kgo.Offset{}
	for _, at := range from {
		end, _ := ends.Lookup(at.topic, at.partition)
		must(end.Err)
		left += end.Offset
		if start[at.topic] == nil {
			start[at.topic] = map[int32]kgo.Offset{}
		}
		start[at.topic][at.partition] = kgo.NewOffset().At(0)
	}
	client := s.connect(kgo.ConsumePartitions(start))
	defer client.Close()
	return s.poll(client, int(left))
}

// Polls until `count` records came.
func (s *stage) poll(client *kgo.Client, count int) map[place][]*kgo.Record {
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	seen := map[place][]*kgo.Record{}
	got := 0
	for got < count {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			panic(fmt.Sprintf("only %d of %d records within 20 s", got, count))
		}
		for _, failure := range fetches.Errors() {
			must(failure.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got++
			at := place{r.Topic, r.Partition}
			seen[at] = append(seen[at], r)
		})
	}
	return seen
}

// `one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run.
func (s *stage) alias(at place) string {
	return fmt.Sprintf("%s/%d", s.topicAlias(at.topic), at.partition)
}

func (s *stage) topicAlias(topic string) string {
	if i := slices.Index(s.topics, topic); i >= 0 {
		return []string{"one", "two"}[i]
	}
	return topic
}

func aliased[V, R any](s *stage, all map[place]V, shown func(V) R) map[string]R {
	named := map[string]R{}
	for at, value := range all {
		named[s.alias(at)] = shown(value)
	}
	return named
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

// The name of an error, `none` where there is none.
func nameOf(err error) string {
	var kafka *kerr.Error
	var data *kgo.ErrDataLoss
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &kafka):
		return kafka.Message
	case errors.As(err, &data):
		return "data loss"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	default:
		return err.Error()
	}
}

func text(bytes []byte) *string {
	if bytes == nil {
		return nil
	}
	text := string(bytes)
	return &text
}
