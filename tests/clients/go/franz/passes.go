package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

// An application that passes on what it reads, in transactions, while somebody kills brokers under it.

const (
	passPartitions = 2
	passRecords    = 200 // to each partition
	passAtATime    = 10
)

// Reads the second topic and writes to the first, which are there already, until all is passed on. Whatever goes wrong, it
// begins anew from what was committed.
func passes(s *stage) {
	go fillSlowly(s)
	anew := -1
	for passedBy(s, s.Groups[0]) < passPartitions*passRecords {
		play.Must(s.ctx.Err())
		anew++
		_ = passUntilItFails(s)
	}
	s.Saw("passed on", passedBy(s, s.Groups[0]))
	s.Told("began anew", anew)
}

func fillSlowly(s *stage) {
	for from := 0; from < passRecords; from += passAtATime {
		var records []*kgo.Record
		for i := from; i < from+passAtATime; i++ {
			for partition := range int32(passPartitions) {
				records = append(records, record(play.Place{Topic: s.Topics[1], Partition: partition}, fmt.Sprint(partition, "-", i)))
			}
		}
		play.Must(s.client.ProduceSync(s.ctx, records...).FirstErr())
		time.Sleep(500 * time.Millisecond)
	}
}

// How many records are behind the group.
func passedBy(s *stage, group string) int64 {
	behind := int64(0)
	s.Until("a coordinator tells offsets", func() bool {
		offsets, err := s.admin.FetchOffsets(s.ctx, group)
		behind = 0
		offsets.Each(func(one kadm.OffsetResponse) {
			err = first(err, one.Err)
			behind += one.At
		})
		return err == nil
	})
	return behind
}

func passUntilItFails(s *stage) error {
	session, err := kgo.NewGroupTransactSession(append(s.options(),
		kgo.TransactionalID(transactionalID(s, 0)), kgo.TransactionTimeout(10*time.Second),
		kgo.ConsumerGroup(s.Groups[0]), kgo.ConsumeTopics(s.Topics[1]), kgo.SessionTimeout(6*time.Second),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	play.Must(err)
	defer session.Close()
	for s.ctx.Err() == nil {
		turn, over := context.WithTimeout(s.ctx, time.Second)
		fetches := session.PollFetches(turn)
		over()
		if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if fetches.NumRecords() == 0 {
			if passedBy(s, s.Groups[0]) >= passPartitions*passRecords {
				return nil
			}
			continue
		}
		if err := session.Begin(); err != nil {
			return err
		}
		var sent []*kgo.Record
		fetches.EachRecord(func(r *kgo.Record) {
			sent = append(sent, record(play.Place{Topic: s.Topics[0], Partition: r.Partition}, string(r.Value)))
		})
		end := kgo.TransactionEndTry(session.ProduceSync(s.ctx, sent...).FirstErr() == nil)
		if _, err := session.End(s.ctx, end); err != nil {
			return err
		}
	}
	return s.ctx.Err()
}
