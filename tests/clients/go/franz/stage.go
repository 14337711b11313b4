package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

// What one scenario is given: a client and an admin client besides.
type stage struct {
	*play.Stage
	ctx    context.Context
	cancel context.CancelFunc
	client *kgo.Client
	admin  *kadm.Client
}

func with(scene func(*stage)) func(*play.Stage) {
	return func(given *play.Stage) {
		s := &stage{Stage: given}
		s.ctx, s.cancel = context.WithTimeout(context.Background(), play.Deadline)
		defer s.cancel()
		s.client = s.connect()
		defer s.client.Close()
		s.admin = kadm.NewClient(s.client)
		scene(s)
	}
}

func (s *stage) options() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(strings.Split(s.Bootstrap, ",")...),
		kgo.ClientID("scenario-" + s.Name),
		kgo.WithLogger(kgo.BasicLogger(s.Log, kgo.LogLevelDebug, nil)),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.HeartbeatInterval(300 * time.Millisecond),
	}
}

func (s *stage) connect(more ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(s.options(), more...)...)
	play.Must(err)
	return client
}

// Creates both topics and waits until the leaders lead: sooner, Kafka itself refuses a producer's first batch and may
// take the second.
func (s *stage) create(partitions int32, configs map[string]string) {
	given := map[string]*string{}
	for key, value := range configs {
		given[key] = &value
	}
	made, err := s.admin.CreateTopics(s.ctx, partitions, 1, given, s.Topics...)
	play.Must(err)
	for _, topic := range made {
		play.Must(topic.Err)
	}
	s.Until("topics have leaders", func() bool {
		ends, err := s.admin.ListEndOffsets(s.ctx, s.Topics...)
		led := 0
		ends.Each(func(end kadm.ListedOffset) {
			if end.Err == nil {
				led++
			}
		})
		return err == nil && led == int(partitions)*len(s.Topics)
	})
}

// Sends `count` records to each partition, record i with the value `prefix-i`, and waits for their acknowledgement.
func (s *stage) fill(prefix string, partitions int32, count int) {
	client := s.connect()
	defer client.Close()
	var records []*kgo.Record
	for i := range count {
		for _, at := range s.Places(partitions) {
			records = append(records, record(at, fmt.Sprint(prefix, "-", i)))
		}
	}
	play.Must(client.ProduceSync(s.ctx, records...).FirstErr())
}

func record(at play.Place, value string) *kgo.Record {
	return &kgo.Record{Topic: at.Topic, Partition: at.Partition, Value: []byte(value)}
}

// Asks for offsets. Nodes may come and go, as WarpStream's do: kadm tells of one that has just gone as of an error, and who
// asks again is told by another.
func (s *stage) listed(call func() (kadm.ListedOffsets, error)) kadm.ListedOffsets {
	var all kadm.ListedOffsets
	s.Until("offsets are told", func() bool {
		found, err := call()
		all = found
		return err == nil
	})
	return all
}

func (s *stage) ends() kadm.ListedOffsets {
	return s.listed(func() (kadm.ListedOffsets, error) { return s.admin.ListEndOffsets(s.ctx, s.Topics...) })
}

// Everything in these partitions from their beginning to their present end.
func (s *stage) readAll(from []play.Place) map[play.Place][]*kgo.Record {
	ends := s.ends()
	left := int64(0)
	start := map[string]map[int32]kgo.Offset{}
	for _, at := range from {
		end, _ := ends.Lookup(at.Topic, at.Partition)
		play.Must(end.Err)
		left += end.Offset
		if start[at.Topic] == nil {
			start[at.Topic] = map[int32]kgo.Offset{}
		}
		start[at.Topic][at.Partition] = kgo.NewOffset().At(0)
	}
	client := s.connect(kgo.ConsumePartitions(start))
	defer client.Close()
	return s.poll(client, int(left))
}

// Polls until `count` records came.
func (s *stage) poll(client *kgo.Client, count int) map[play.Place][]*kgo.Record {
	ctx, cancel := context.WithTimeout(s.ctx, play.Soon)
	defer cancel()
	seen := map[play.Place][]*kgo.Record{}
	got := 0
	for got < count {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			panic(fmt.Sprintf("only %d of %d records within %v", got, count, play.Soon))
		}
		for _, failure := range fetches.Errors() {
			play.Must(failure.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got++
			at := play.Place{r.Topic, r.Partition}
			seen[at] = append(seen[at], r)
		})
	}
	return seen
}

func aliased[V, R any](s *stage, all map[play.Place]V, shown func(V) R) map[string]R {
	named := map[string]R{}
	for at, value := range all {
		named[s.Alias(at)] = shown(value)
	}
	return named
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
