package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	cutPartitions = 2
	cutRecords    = 20
	cutHalf       = cutRecords * 2 * cutPartitions
)

// A producer and a group at work while all connections are cut, once.
func cut(s *stage) {
	s.create(cutPartitions, nil)
	read := &reads{all: map[string]int{}}
	m := join(s, s.groups[1], read, kgo.Balancers(kgo.RangeBalancer()))
	s.until("the member has all", func() bool { return len(m.has()) == 2*cutPartitions })
	producer := s.connect(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(2*time.Millisecond))
	defer producer.Close()
	var lock sync.Mutex
	errors := []string{}
	send := func(part int) {
		for i := range cutRecords {
			for _, at := range s.places(cutPartitions) {
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
		must(producer.Flush(s.ctx))
	}
	send(0)
	s.until("the first half is read", func() bool { n, _ := read.count(); return n == cutHalf })
	over := make(chan struct{})
	go func() {
		defer close(over)
		time.Sleep(200 * time.Millisecond)
		haveItCut(s.cutFile)
	}()
	send(1)
	<-over
	s.until("all is read by the group", func() bool { n, _ := read.count(); return n == 2*cutHalf })
	s.saw("not acknowledged", errors)
	s.saw("assigned", aliases(s, m.has()))
	m.leave()
	var wanted []string
	for i := range 2 * cutRecords {
		wanted = append(wanted, fmt.Sprint(i, "=", i/cutRecords, "-", i%cutRecords))
	}
	s.saw("read", aliased(s, s.readAll(s.places(cutPartitions)), func(records []*kgo.Record) string {
		if found := offsetsAndValues(records); !slices.Equal(found, wanted) {
			return strings.Join(found, " ")
		}
		return "all, once, in order"
	}))
}

// The trial cuts when it sees the file, and takes it away when it has.
func haveItCut(file string) {
	if file == "" {
		return
	}
	must(os.WriteFile(file, nil, 0o644))
	for _, err := os.Stat(file); err == nil; _, err = os.Stat(file) {
		time.Sleep(10 * time.Millisecond)
	}
}
