package main

import (
	"fmt"

	"fishplate/tests/clients/go/play"
)

// Scenarios about positions: by time, at the ends, by seeking.

func offsetsByTime(s *stage) {
	// The records are old, and must not be deleted for it.
	s.create(2, map[string]string{"retention.ms": "-1"})
	for _, at := range []int64{1000, 3000, 3000, 2000, 9000, 4000} {
		for _, topic := range s.Topics {
			r := record{at: play.Place{Topic: topic}, value: fmt.Append(nil, "at ", at), time: at}
			_, err := s.send(sending{acks: -1}, []record{r})
			play.Must(err)
		}
	}
	for _, at := range s.Places(2) {
		first, end, err := s.client.ends(at)
		play.Must(err)
		s.Saw(s.Alias(at)+" ends", fmt.Sprint(first, " ", end))
		found := map[string]int64{}
		for _, time := range []int64{1000, 1500, 2500, 3000, 3001, 9000, 9001} {
			offset, err := s.client.offsetAt(at, time)
			play.Must(err)
			found[fmt.Sprint("at ", time)] = offset
		}
		s.Saw(s.Alias(at), found)
	}
}

func reset(s *stage) {
	s.create(1, nil)
	s.fill("before", 1, 5)
	for _, at := range s.Places(1) {
		s.Saw(s.Alias(at)+" earliest", offsetsAndValues(s.read(at, earliest, 5, func() {})))
		s.Saw(s.Alias(at)+" at 3", offsetsAndValues(s.read(at, 3, 2, func() {})))
		s.Saw(s.Alias(at)+" latest", offsetsAndValues(s.read(at, latest, 1, func() {
			_, err := s.send(sending{acks: -1}, []record{{at: at, value: []byte("after")}})
			play.Must(err)
		})))
	}
}

// Two readers at once, of which now one and now the other goes on, and goes back.
func seek(s *stage) {
	s.create(1, nil)
	s.fill("v", 1, 10)
	var readers []reader
	for _, at := range s.Places(1) {
		r, err := s.client.reader(at, earliest)
		play.Must(err)
		defer r.close()
		readers = append(readers, r)
	}
	next := func(count ...int) any {
		seen := map[string]any{}
		for i, at := range s.Places(1) {
			records, err := readers[i].next(count[i])
			play.Must(err)
			seen[s.Alias(at)] = offsetsAndValues(records)
		}
		return seen
	}
	s.Saw("two stands still", next(10, 0))
	s.Saw("two goes on", next(0, 10))
	play.Must(readers[0].seek(7))
	s.Saw("one back to 7", next(3, 0))
	play.Must(readers[0].seek(3))
	play.Must(readers[1].seek(8))
	s.Saw("both back", next(7, 2))
	s.fill("more", 1, 2)
	s.Saw("after the end", next(2, 2))
}
