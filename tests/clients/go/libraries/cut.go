package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fishplate/tests/clients/go/play"
)

const (
	cutPartitions = 2
	cutRecords    = 20
	cutHalf       = cutRecords * 2 * cutPartitions
)

// A producer and a group at work while all connections are cut, once. What a producer that is not idempotent sends again
// may be there twice.
func cut(s *stage) {
	s.create(cutPartitions, nil)
	read := &play.Reads{}
	m := s.join(s.Groups[1], joining{}, read)
	s.Until("the member has all", func() bool { return len(m.has()) == 2*cutPartitions })
	w, err := s.client.writer(sending{acks: -1, idempotent: true})
	play.Must(err)
	errors := []string{}
	send := func(part int) {
		for i := range cutRecords {
			for _, at := range s.Places(cutPartitions) {
				_, err := w.send([]record{{at: at, value: fmt.Append(nil, part, "-", i)}})
				if err != nil {
					errors = append(errors, s.client.nameOf(err))
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	send(0)
	s.Until("the first half is read", func() bool { return distinct(read) == cutHalf })
	over := make(chan struct{})
	go func() {
		defer close(over)
		time.Sleep(200 * time.Millisecond)
		s.HaveItCut()
	}()
	send(1)
	<-over
	play.Must(w.close())
	s.Until("all is read by the group", func() bool { return distinct(read) == 2*cutHalf })
	s.Saw("not acknowledged", errors)
	s.Saw("assigned", s.Aliases(m.has()))
	m.leave()
	var wanted []string
	for i := range 2 * cutRecords {
		wanted = append(wanted, fmt.Sprint(i/cutRecords, "-", i%cutRecords))
	}
	s.Saw("read", s.contents(cutPartitions, func(records []record) any {
		var found []string
		for _, r := range records {
			found = append(found, string(r.value))
		}
		if !s.client.isIdempotent() {
			found = slices.Compact(found)
		}
		if !slices.Equal(found, wanted) {
			return strings.Join(found, " ")
		}
		return "all, in order"
	}))
}

// How many different values were read in all partitions: a record that is there twice has two offsets.
func distinct(read *play.Reads) int {
	values := map[string]bool{}
	for _, name := range read.Names() {
		at, rest, _ := strings.Cut(name, "@")
		_, value, _ := strings.Cut(rest, "=")
		values[at+"="+value] = true
	}
	return len(values)
}
