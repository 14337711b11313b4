package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

const (
	cutPartitions = 2
	cutRecords    = 20
	cutHalf       = cutRecords * 2 * cutPartitions
)

// A producer and a group at work while all connections are cut, once.
func cut(s *stage) {
	s.create(cutPartitions, nil)
	read := &play.Reads{}
	m := join(s, s.Groups[1], read, kgo.Balancers(kgo.RangeBalancer()))
	s.Until("the member has all", func() bool { return len(m.has()) == 2*cutPartitions })
	producer := s.connect(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(2*time.Millisecond))
	defer producer.Close()
	var lock sync.Mutex
	errors := []string{}
	send := func(part int) {
		for i := range cutRecords {
			for _, at := range s.Places(cutPartitions) {
				producer.Produce(s.ctx, record(at, fmt.Sprint(part, "-", i)), func(_ *kgo.Record, err error) {
					if err != nil {
						lock.Lock()
						defer lock.Unlock()
						errors = append(errors, nameOf(err))
					}
				})
				time.Sleep(10 * time.Millisecond)
			}
		}
		play.Must(producer.Flush(s.ctx))
	}
	send(0)
	s.Until("the first half is read", func() bool { n, _ := read.Count(); return n == cutHalf })
	over := make(chan struct{})
	go func() {
		defer close(over)
		time.Sleep(200 * time.Millisecond)
		s.HaveItCut()
	}()
	send(1)
	<-over
	s.Until("all is read by the group", func() bool { n, _ := read.Count(); return n == 2*cutHalf })
	s.Saw("not acknowledged", errors)
	s.Saw("assigned", s.Aliases(m.has()))
	m.leave()
	var wanted []string
	for i := range 2 * cutRecords {
		wanted = append(wanted, fmt.Sprint(i, "=", i/cutRecords, "-", i%cutRecords))
	}
	s.Saw("read", aliased(s, s.readAll(s.Places(cutPartitions)), func(records []*kgo.Record) string {
		if found := offsetsAndValues(records); !slices.Equal(found, wanted) {
			return strings.Join(found, " ")
		}
		return "all, once, in order"
	}))
}
