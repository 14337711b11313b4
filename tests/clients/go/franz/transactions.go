package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

// Scenarios about transactions: what was committed is read once, what was aborted is not, offsets go along, who comes later
// fences who was there.

const passedOn = 6

func transactions(s *stage) {
	s.create(4, nil)
	for home := range 2 {
		outcomes(s, home)
		fencing(s, home)
	}
	// What the other home's transactions read must be there first.
	for home := range 2 {
		passOn(s, home)
	}
	ids := []string{transactionalID(s, 0), transactionalID(s, 1)}
	listed, err := s.admin.ListTransactions(s.ctx, nil, nil)
	play.Must(err)
	described, err := s.admin.DescribeTransactions(s.ctx, ids...)
	play.Must(err)
	for home, id := range ids {
		_, is := listed[id]
		s.Saw(fmt.Sprint("listed ", home+1), is)
		s.Saw(fmt.Sprint("state of ", home+1), described[id].State)
	}
}

// One that would have to span two homes. On one cluster there is nothing to span.
func spanning(s *stage) {
	s.create(1, nil)
	one, two := play.Place{Topic: s.Topics[0]}, play.Place{Topic: s.Topics[1]}
	client := transactional(s, 0)
	play.Must(client.BeginTransaction())
	s.Saw("own topic", nameOf(client.ProduceSync(s.ctx, record(one, "in vain")).FirstErr()))
	s.Saw("other topic", nameOf(client.ProduceSync(s.ctx, record(two, "too far")).FirstErr()))
	s.Saw("end", nameOf(client.EndTransaction(s.ctx, kgo.TryAbort)))
	client.Close()
	// And it is none the worse for it.
	client = transactional(s, 0)
	defer client.Close()
	play.Must(client.BeginTransaction())
	play.Must(client.ProduceSync(s.ctx, record(one, "afterwards")).FirstErr())
	s.Saw("afterwards", nameOf(client.EndTransaction(s.ctx, kgo.TryCommit)))
	seen := s.readUntilLast(one, kgo.ReadCommitted(), "afterwards")
	s.Saw("read", seen[len(seen)-1])
}

// It lives where the topic and the group of the same number do.
func transactionalID(s *stage, home int) string {
	return "t" + s.Groups[home][1:]
}

func transactional(s *stage, home int) *kgo.Client {
	return s.connect(kgo.TransactionalID(transactionalID(s, home)), kgo.TransactionTimeout(30*time.Second))
}

func outcomes(s *stage, home int) {
	client := transactional(s, home)
	defer client.Close()
	for number := range 5 {
		word, end := "committed", kgo.TryCommit
		if number%2 == 1 {
			word, end = "aborted", kgo.TryAbort
		}
		play.Must(client.BeginTransaction())
		for partition := range int32(2) {
			at := play.Place{Topic: s.Topics[home], Partition: partition}
			play.Must(client.ProduceSync(s.ctx, record(at, fmt.Sprint(word, "-", number))).FirstErr())
		}
		play.Must(client.EndTransaction(s.ctx, end))
	}
	for partition := range int32(2) {
		at := play.Place{Topic: s.Topics[home], Partition: partition}
		s.Saw(s.Alias(at)+", read_committed", s.readUntilLast(at, kgo.ReadCommitted(), "committed-4"))
		s.Saw(s.Alias(at)+", read_uncommitted", s.readUntilLast(at, kgo.ReadUncommitted(), "committed-4"))
	}
}

// Who comes with an id that another has, has it from then on.
func fencing(s *stage, home int) {
	at := play.Place{Topic: s.Topics[home]}
	zombie, later := transactional(s, home), transactional(s, home)
	defer zombie.Close()
	defer later.Close()
	play.Must(zombie.BeginTransaction())
	play.Must(zombie.ProduceSync(s.ctx, record(at, "zombie")).FirstErr())
	play.Must(later.BeginTransaction())
	play.Must(later.ProduceSync(s.ctx, record(at, "later")).FirstErr())
	s.Saw(fmt.Sprint("zombie of ", home+1), nameOf(zombie.EndTransaction(s.ctx, kgo.TryCommit)))
	s.Saw(fmt.Sprint("later of ", home+1), nameOf(later.EndTransaction(s.ctx, kgo.TryCommit)))
	s.Saw(s.Alias(at)+", after a zombie", s.readUntilLast(at, kgo.ReadCommitted(), "later"))
}

// Reads from the other home's topic and writes to its own, with the offsets of what it has read: once in vain.
func passOn(s *stage, home int) {
	from := play.Place{Topic: s.Topics[1-home], Partition: 2}
	to := play.Place{Topic: s.Topics[home], Partition: 3}
	for i := range passedOn {
		play.Must(s.client.ProduceSync(s.ctx, record(from, fmt.Sprint("in-", i))).FirstErr())
	}
	session, err := kgo.NewGroupTransactSession(append(s.options(),
		kgo.TransactionalID(transactionalID(s, home)), kgo.ConsumerGroup(s.Groups[home]),
		kgo.ConsumeTopics(from.Topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	play.Must(err)
	defer session.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		var seen []string
		play.Must(session.Begin())
		for len(seen) < passedOn {
			fetches := session.PollFetches(s.ctx)
			play.Must(fetches.Err())
			fetches.EachRecord(func(r *kgo.Record) {
				if r.Partition == from.Partition {
					seen = append(seen, string(r.Value))
				}
			})
		}
		for _, value := range seen {
			play.Must(session.ProduceSync(s.ctx, record(to, fmt.Sprint(end, " ", value))).FirstErr())
		}
		committed, err := session.End(s.ctx, end)
		play.Must(err)
		what := fmt.Sprint(s.Alias(from), ", committed by ", home+1, ", ", committed)
		s.Saw(what, s.committed(s.Groups[home], from, committed))
	}
	s.Saw(s.Alias(to)+", passed on", s.readUntilLast(to, kgo.ReadCommitted(), fmt.Sprint(kgo.TryCommit, " in-", passedOn-1)))
}

// What the group has committed, once the coordinator has taken in what the transaction has.
func (s *stage) committed(group string, at play.Place, some bool) int64 {
	found := int64(-1)
	s.Until("offsets are stable", func() bool {
		offsets, err := s.admin.FetchOffsets(s.ctx, group)
		play.Must(err)
		offset, is := offsets.Lookup(at.Topic, at.Partition)
		if is {
			found = offset.At
		}
		return is == some
	})
	return found
}

// Each record up to the one of this value, as `offset=value`.
func (s *stage) readUntilLast(at play.Place, isolation kgo.IsolationLevel, last string) []string {
	start := map[string]map[int32]kgo.Offset{at.Topic: {at.Partition: kgo.NewOffset().AtStart()}}
	client := s.connect(kgo.ConsumePartitions(start), kgo.FetchIsolationLevel(isolation))
	defer client.Close()
	ctx, cancel := context.WithTimeout(s.ctx, play.Soon)
	defer cancel()
	var seen []string
	for {
		fetches := client.PollFetches(ctx)
		play.Must(fetches.Err())
		done := false
		fetches.EachRecord(func(r *kgo.Record) {
			seen = append(seen, fmt.Sprint(r.Offset, "=", string(r.Value)))
			done = done || string(r.Value) == last
		})
		if done {
			return seen
		}
	}
}

// Producers that fall silent in the middle of a transaction: their coordinators abort it, and they are fenced. One a home,
// at the same time: what takes the time is waiting.
func silent(s *stage) {
	s.create(1, nil)
	var producers []*kgo.Client
	for home := range s.Topics {
		client := s.connect(kgo.TransactionalID(transactionalID(s, home)), kgo.TransactionTimeout(time.Second))
		defer client.Close()
		producers = append(producers, client)
		play.Must(client.BeginTransaction())
		play.Must(client.ProduceSync(s.ctx, record(play.Place{Topic: s.Topics[home]}, "silent")).FirstErr())
	}
	for home, topic := range s.Topics {
		seen, at := map[string]any{}, play.Place{Topic: topic}
		s.Until("its coordinator has aborted it", func() bool {
			described, err := s.admin.DescribeTransactions(s.ctx, transactionalID(s, home))
			play.Must(err)
			seen["state"] = described[transactionalID(s, home)].State
			return seen["state"] == "CompleteAbort"
		})
		zombie := producers[home]
		seen["produces again"] = nameOf(zombie.ProduceSync(s.ctx, record(at, "too late")).FirstErr())
		seen["commits"] = nameOf(zombie.EndTransaction(s.ctx, kgo.TryCommit))
		later := transactional(s, home)
		defer later.Close()
		play.Must(later.BeginTransaction())
		play.Must(later.ProduceSync(s.ctx, record(at, "later")).FirstErr())
		seen["later one commits"] = nameOf(later.EndTransaction(s.ctx, kgo.TryCommit))
		last := s.readUntilLast(at, kgo.ReadCommitted(), "later")
		seen["committed"] = len(last)
		s.Saw(s.TopicAlias(topic), seen)
	}
}
