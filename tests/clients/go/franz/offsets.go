package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

// Scenarios about positions: by time, at the ends, by seeking, committed.

func offsetsByTime(s *stage) {
	// The records are old, and must not be deleted for it.
	s.create(2, map[string]string{"retention.ms": "-1"})
	for _, at := range []int64{1000, 3000, 3000, 2000, 9000, 4000} {
		for _, topic := range s.Topics {
			r := record(play.Place{topic, 0}, fmt.Sprint("at ", at))
			r.Timestamp = time.UnixMilli(at)
			play.Must(s.client.ProduceSync(s.ctx, r).FirstErr())
		}
	}
	show := func(what string, call func() (kadm.ListedOffsets, error)) {
		shown := map[string]string{}
		s.listed(call).Each(func(o kadm.ListedOffset) {
			shown[s.Alias(play.Place{o.Topic, o.Partition})] =
				fmt.Sprintf("%d at %d in epoch %d, %s", o.Offset, o.Timestamp, o.LeaderEpoch, nameOf(o.Err))
		})
		s.Saw(what, shown)
	}
	show("start", func() (kadm.ListedOffsets, error) { return s.admin.ListStartOffsets(s.ctx, s.Topics...) })
	show("end", func() (kadm.ListedOffsets, error) { return s.admin.ListEndOffsets(s.ctx, s.Topics...) })
	show("committed", func() (kadm.ListedOffsets, error) { return s.admin.ListCommittedOffsets(s.ctx, s.Topics...) })
	show("maximum", func() (kadm.ListedOffsets, error) { return s.admin.ListMaxTimestampOffsets(s.ctx, s.Topics...) })
	for _, at := range []int64{0, 1000, 1500, 2500, 3000, 3001, 9000, 9001} {
		show(fmt.Sprint("at ", at), func() (kadm.ListedOffsets, error) { return s.admin.ListOffsetsAfterMilli(s.ctx, at, s.Topics...) })
	}
	// Consuming from a time on.
	client := s.connect(kgo.ConsumeTopics(s.Topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(3001)))
	defer client.Close()
	s.Saw("read after 3001", aliased(s, s.poll(client, 4), offsetsAndValues))
}

func reset(s *stage) {
	s.create(1, nil)
	s.fill("before", 1, 5)
	read := func(offset kgo.Offset, count int) map[string][]string {
		client := s.connect(kgo.ConsumeTopics(s.Topics...), kgo.ConsumeResetOffset(offset))
		defer client.Close()
		return aliased(s, s.poll(client, count), offsetsAndValues)
	}
	s.Saw("earliest", read(kgo.NewOffset().AtStart(), 10))
	s.Saw("two before the end", read(kgo.NewOffset().AtEnd().Relative(-2), 4))
	s.Saw("at 3", read(kgo.NewOffset().At(3), 4))

	// Who has sent its first Fetch knows where the end is.
	latest := map[string][]string{}
	var clients []*kgo.Client
	for _, topic := range s.Topics {
		fetches := make(fetching, 1)
		client := s.connect(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.WithHooks(fetches))
		defer client.Close()
		clients = append(clients, client)
		select {
		case <-fetches:
		case <-s.ctx.Done():
			panic("no Fetch was sent")
		}
	}
	s.fill("after", 1, 3)
	for _, client := range clients {
		maps.Copy(latest, aliased(s, s.poll(client, 3), offsetsAndValues))
	}
	s.Saw("latest", latest)

	wrong := s.connect(kgo.ConsumePartitions(at(s, 1000)), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	defer wrong.Close()
	failures := map[string]string{}
	for len(failures) < 2 {
		for _, failure := range wrong.PollFetches(s.ctx).Errors() {
			failures[s.Alias(play.Place{failure.Topic, failure.Partition})] = nameOf(failure.Err)
		}
		play.Must(s.ctx.Err())
	}
	s.Saw("none, out of range", failures)
	far := s.connect(kgo.ConsumePartitions(at(s, 1000)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer far.Close()
	s.Saw("earliest, out of range", aliased(s, s.poll(far, 16), offsetsAndValues))
}

func at(s *stage, offset int64) map[string]map[int32]kgo.Offset {
	all := map[string]map[int32]kgo.Offset{}
	for _, topic := range s.Topics {
		all[topic] = map[int32]kgo.Offset{0: kgo.NewOffset().At(offset)}
	}
	return all
}

// A hook that tells when a client sends its first Fetch.
type fetching chan struct{}

func (f fetching) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	const fetch = 1
	if key == fetch {
		select {
		case f <- struct{}{}:
		default:
		}
	}
}

func seek(s *stage) {
	s.create(1, nil)
	s.fill("v", 1, 10)
	one, two := s.Topics[0], s.Topics[1]
	client := s.connect(kgo.ConsumePartitions(at(s, 0)))
	defer client.Close()
	client.PauseFetchTopics(two)
	s.Saw("two paused", aliased(s, s.poll(client, 10), offsetsAndValues))
	client.ResumeFetchTopics(two)
	s.Saw("two resumed", aliased(s, s.poll(client, 10), offsetsAndValues))
	to := func(topic string, offset int64) {
		client.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: offset}}})
	}
	to(one, 7)
	s.Saw("one back to 7", aliased(s, s.poll(client, 3), offsetsAndValues))
	to(one, 3)
	to(two, 8)
	s.Saw("both back", aliased(s, s.poll(client, 9), offsetsAndValues))
	s.fill("more", 1, 2)
	s.Saw("after the end", aliased(s, s.poll(client, 4), offsetsAndValues))
}

func commit(s *stage) {
	s.create(3, nil)
	s.fill("v", 2, 10)
	for g, group := range s.Groups {
		s.Saw(fmt.Sprint("group ", g+1), commitAs(s, group))
	}
}

func commitAs(s *stage, group string) map[string]any {
	seen := map[string]any{}
	member := func() *kgo.Client {
		return s.connect(kgo.ConsumerGroup(group), kgo.ConsumeTopics(s.Topics...), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	}
	first := member()
	seen["first"] = aliased(s, s.poll(first, 40), offsetsAndValues)
	half := map[string]map[int32]kgo.EpochOffset{}
	for _, topic := range s.Topics {
		half[topic] = map[int32]kgo.EpochOffset{0: {Epoch: -1, Offset: 5}, 1: {Epoch: -1, Offset: 6}}
	}
	seen["commit"] = nameOf(commitSync(s.ctx, first, half))
	first.Close()
	seen["committed"] = committed(s, group)

	second := member()
	seen["resumed"] = aliased(s, s.poll(second, 18), offsetsAndValues)
	seen["commit of all"] = nameOf(second.CommitUncommittedOffsets(s.ctx))
	second.Close()
	seen["committed, all"] = committed(s, group)

	// A group without members may be written by anybody.
	var offsets kadm.Offsets
	for i, topic := range s.Topics {
		offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: int64(2 + i), LeaderEpoch: -1, Metadata: "by hand"})
	}
	offsets.Add(kadm.Offset{Topic: s.Topics[1], Partition: 9, At: 1, LeaderEpoch: -1})
	answers, err := s.admin.CommitOffsets(s.ctx, group, offsets)
	play.Must(err)
	written := map[string]string{}
	answers.Each(func(o kadm.OffsetResponse) { written[s.Alias(play.Place{o.Topic, o.Partition})] = nameOf(o.Err) })
	seen["written by hand"] = written
	seen["committed, by hand"] = committed(s, group)
	only, err := s.admin.FetchOffsetsForTopics(s.ctx, group, s.Topics...)
	play.Must(err)
	seen["committed, by topics"] = shownOffsets(s, only)
	return seen
}

func commitSync(ctx context.Context, client *kgo.Client, offsets map[string]map[int32]kgo.EpochOffset) error {
	return client.CommitRecords(ctx, recordsBefore(offsets)...)
}

// CommitRecords commits behind the records it is given.
func recordsBefore(offsets map[string]map[int32]kgo.EpochOffset) []*kgo.Record {
	var all []*kgo.Record
	for topic, partitions := range offsets {
		for partition, offset := range partitions {
			all = append(all, &kgo.Record{Topic: topic, Partition: partition, Offset: offset.Offset - 1, LeaderEpoch: -1})
		}
	}
	return all
}

func committed(s *stage, group string) map[string]string {
	offsets, err := s.admin.FetchOffsets(s.ctx, group)
	play.Must(err)
	return shownOffsets(s, offsets)
}

func shownOffsets(s *stage, offsets kadm.OffsetResponses) map[string]string {
	shown := map[string]string{}
	offsets.Each(func(o kadm.OffsetResponse) {
		// franz-go writes its member id, which is the client's id and a random part.
		metadata := o.Metadata
		if strings.HasPrefix(metadata, "scenario-"+s.Name) {
			metadata = "by a member"
		}
		shown[s.Alias(play.Place{o.Topic, o.Partition})] = fmt.Sprintf("%d, %q, %s", o.At, metadata, nameOf(o.Err))
	})
	return shown
}
