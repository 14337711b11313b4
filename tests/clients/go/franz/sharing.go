package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

const (
	sharingPartitions = 6
	sharingRounds     = 12
)

// A member at work, and what was said of the records that it got.
type sharingMember struct {
	group    string
	explicit bool
	lock     sync.Mutex
	accepted map[string]bool
	// Records whose acceptance was answered by an error: its broker may have taken it, or delivers them again.
	doubtful map[string]bool
	back     map[string]bool
	// By partition, what was said to be accepted and not heard of.
	said    map[int32][]string
	again   int
	longest time.Duration
}

// Share groups at work while something happens to their connections or brokers: one says of each record what became of it,
// and gives some back once; the other takes what it has read for accepted.
func sharing(s *stage) {
	s.create(sharingPartitions, nil)
	topic := s.Topics[0]
	ctx, stop := context.WithCancel(s.ctx)
	var done sync.WaitGroup
	members := map[string]*sharingMember{}
	for _, mode := range []string{"explicit", "implicit"} {
		m := &sharingMember{group: s.Groups[0] + "-" + mode, explicit: mode == "explicit"}
		m.accepted, m.doubtful, m.back = map[string]bool{}, map[string]bool{}, map[string]bool{}
		m.said = map[int32][]string{}
		members[mode] = m
		fromTheBeginning(s, m.group)
		done.Add(1)
		go func() {
			defer done.Done()
			m.run(ctx, s, topic)
		}()
	}
	all := func(count int) func() bool {
		return func() bool { return members["explicit"].has(count) && members["implicit"].has(count) }
	}
	producer := s.connect(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0))
	defer producer.Close()
	send := func(round int) {
		for p := range int32(sharingPartitions) {
			producer.Produce(s.ctx, record(play.Place{topic, p}, fmt.Sprint("v-", round)), nil)
		}
	}
	send(0)
	s.Until("the first are accepted", all(sharingPartitions))
	over := make(chan struct{})
	go func() {
		defer close(over)
		time.Sleep(200 * time.Millisecond)
		s.HaveItCut()
	}()
	for i := 1; i < sharingRounds; i++ {
		send(i)
		time.Sleep(50 * time.Millisecond)
	}
	<-over
	play.Must(producer.Flush(s.ctx))
	s.Until("all is accepted", all(sharingPartitions*sharingRounds))
	stop()
	done.Wait()
	send(sharingRounds)
	for mode, m := range members {
		seen := map[string]any{
			"accepted": len(m.accepted), "in doubt": len(m.doubtful), "given back": len(m.back),
			"delivered after it was accepted": m.again,
		}
		// What was read last may come again where it was not accepted before the connection was cut.
		if m.explicit {
			seen["left for the next member"] = m.leaves(s, topic)
		}
		s.Saw(mode, seen)
		s.Told(mode, map[string]any{"longest wait ms": m.longest.Milliseconds()})
	}
}

// Whether it has said of so many records that they are accepted, whatever it heard.
func (m *sharingMember) has(count int) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.accepted)+len(m.doubtful) >= count
}

func (m *sharingMember) run(ctx context.Context, s *stage, topic string) {
	client := s.connect(kgo.ShareGroup(m.group), kgo.ConsumeTopics(topic), kgo.ShareMaxRecords(5),
		kgo.FetchMaxWait(500*time.Millisecond), kgo.ShareAckCallback(m.heard))
	defer client.Close()
	for ctx.Err() == nil {
		before := time.Now()
		turn, over := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollFetches(turn)
		over()
		m.longest = max(m.longest, time.Since(before))
		fetches.EachRecord(m.take)
		if m.explicit {
			_ = client.FlushAcks(ctx)
		}
	}
}

func place(r *kgo.Record) string {
	return fmt.Sprint(r.Partition, "@", r.Offset)
}

func (m *sharingMember) take(r *kgo.Record) {
	m.lock.Lock()
	defer m.lock.Unlock()
	one := place(r)
	if !m.explicit {
		// The callback says of which partition, not of which records.
		m.accepted[one] = true
		return
	}
	if m.accepted[one] {
		m.again++
	}
	if r.Offset%4 == 1 && !m.back[one] {
		m.back[one] = true
		r.Ack(kgo.AckRelease)
		return
	}
	m.said[r.Partition] = append(m.said[r.Partition], one)
	r.Ack(kgo.AckAccept)
}

// What brokers took.
func (m *sharingMember) heard(_ *kgo.Client, results kgo.ShareAckResults) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, one := range results {
		for _, at := range m.said[one.Partition] {
			if one.Err == nil {
				m.accepted[at] = true
				delete(m.doubtful, at)
			} else if !m.accepted[at] {
				m.doubtful[at] = true
			}
		}
		delete(m.said, one.Partition)
	}
}

// How many records that are not in doubt another member gets before it has what is new in every partition.
func (m *sharingMember) leaves(s *stage, topic string) int {
	client := s.connect(kgo.ShareGroup(m.group), kgo.ConsumeTopics(topic))
	defer client.Close()
	left, fresh := 0, map[int32]bool{}
	s.Until("the next member has what is new", func() bool {
		turn, over := context.WithTimeout(s.ctx, 200*time.Millisecond)
		defer over()
		client.PollFetches(turn).EachRecord(func(r *kgo.Record) {
			if r.Offset >= sharingRounds {
				fresh[r.Partition] = true
			} else if !m.doubtful[place(r)] {
				left++
			}
		})
		return len(fresh) == sharingPartitions
	})
	return left
}
