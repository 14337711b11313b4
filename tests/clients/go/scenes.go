package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
)

func offsetsAndValues(records []record) any {
	all := []string{}
	for _, r := range records {
		all = append(all, fmt.Sprint(r.offset, "=", string(r.value)))
	}
	return all
}

func codecs(s *stage) {
	s.create(1, nil)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		var records []record
		for n := range 10 {
			for _, at := range s.places(1) {
				records = append(records, record{at: at, value: fmt.Append(nil, codec, "-", n, "-", strings.Repeat("x", 50))})
			}
		}
		_, err := s.client.send(sending{codec: codec, acks: -1, together: true}, records)
		must(err)
	}
	s.saw("read", s.contents(1, offsetsAndValues))
}

func headers(s *stage) {
	s.create(1, nil)
	sets := [][]header{
		nil,
		{{"k", []byte("1")}, {"other", []byte("x")}, {"k", []byte("2")}, {"k", []byte("1")}},
		{{"null", nil}, {"empty", []byte{}}, {"", []byte("empty key")}},
		{{"Ключ-鍵-🔑", []byte("значение")}, {"long", []byte(strings.Repeat("v", 300))}},
	}
	for _, at := range s.places(1) {
		for _, set := range sets {
			r := record{at: at, key: []byte("key"), value: []byte("value"), headers: set}
			_, err := s.client.send(sending{acks: -1}, []record{r})
			must(err)
		}
	}
	s.saw("read", s.contents(1, func(records []record) any {
		var all []any
		for _, r := range records {
			pairs := [][2]string{}
			for _, h := range r.headers {
				pairs = append(pairs, [2]string{h.key, fmt.Sprintf("%q, null: %v", h.value, h.value == nil)})
			}
			all = append(all, map[string]any{"offset": r.offset, "key": string(r.key), "value": string(r.value), "headers": pairs})
		}
		return all
	}))
}

func acks(s *stage) {
	s.create(1, nil)
	for round, acks := range []int{0, 1, -1} {
		// Over one connection: two have no order between them, when nothing is acknowledged.
		var records []record
		for i := range 20 {
			for _, at := range s.places(1) {
				records = append(records, record{at: at, value: fmt.Append(nil, acks, "-", i)})
			}
		}
		_, err := s.client.send(sending{acks: acks}, records)
		must(err)
		// Nobody says when a record without acknowledgement is there.
		s.until("all are there", func() bool {
			return !slices.ContainsFunc(s.places(1), func(at place) bool {
				_, end, err := s.client.ends(at)
				return err != nil || end != int64(20*(round+1))
			})
		})
	}
	s.saw("read", s.contents(1, offsetsAndValues))
}

func idempotent(s *stage) {
	s.create(4, nil)
	var records []record
	for i := range 500 {
		for _, at := range s.places(4) {
			records = append(records, record{at: at, value: fmt.Append(nil, i)})
		}
	}
	_, err := s.client.send(sending{acks: -1, idempotent: true}, records)
	must(err)
	s.saw("read", s.contents(4, func(records []record) any {
		for i, r := range records {
			if string(r.value) != fmt.Sprint(i) || r.offset != int64(i) {
				return fmt.Sprint("record ", i, " is ", string(r.value), " at ", r.offset)
			}
		}
		return fmt.Sprint(len(records), " in order")
	}))
}

func manyPartitions(s *stage) {
	s.create(20, nil)
	s.fill("v", 20, 3)
	s.saw("read", s.contents(20, offsetsAndValues))
}

func offsetsByTime(s *stage) {
	// The records are old, and must not be deleted for it.
	s.create(2, map[string]string{"retention.ms": "-1"})
	for _, at := range []int64{1000, 3000, 3000, 2000, 9000, 4000} {
		for _, topic := range s.topics {
			r := record{at: place{topic, 0}, value: fmt.Append(nil, "at ", at), time: at}
			_, err := s.client.send(sending{acks: -1}, []record{r})
			must(err)
		}
	}
	for _, at := range s.places(2) {
		first, end, err := s.client.ends(at)
		must(err)
		s.saw(s.alias(at)+" ends", fmt.Sprint(first, " ", end))
		found := map[string]int64{}
		for _, time := range []int64{1000, 1500, 2500, 3000, 3001, 9000, 9001} {
			offset, err := s.client.offsetAt(at, time)
			must(err)
			found[fmt.Sprint("at ", time)] = offset
		}
		s.saw(s.alias(at), found)
	}
}

func reset(s *stage) {
	s.create(1, nil)
	s.fill("before", 1, 5)
	for _, at := range s.places(1) {
		read := func(from int64, count int, ready func()) any {
			records, err := s.client.read(at, from, count, ready)
			must(err)
			return offsetsAndValues(records)
		}
		s.saw(s.alias(at)+" earliest", read(-2, 5, func() {}))
		s.saw(s.alias(at)+" at 3", read(3, 2, func() {}))
		s.saw(s.alias(at)+" latest", read(-1, 1, func() {
			_, err := s.client.send(sending{acks: -1}, []record{{at: at, value: []byte("after")}})
			must(err)
		}))
	}
}

// What all members of a group read: how often each record.
type reads struct {
	lock sync.Mutex
	all  map[string]int
}

func (r *reads) took(s *stage) func(record) {
	return func(one record) {
		r.lock.Lock()
		defer r.lock.Unlock()
		r.all[fmt.Sprint(s.alias(one.at), "@", one.offset, "=", string(one.value))]++
	}
}

func (r *reads) count() int {
	r.lock.Lock()
	defer r.lock.Unlock()
	return len(r.all)
}

// A group that ends and comes again goes on where it was.
func commit(s *stage) {
	s.create(2, nil)
	s.fill("first", 2, 5)
	for g, group := range s.groups {
		seen := map[string]any{}
		read := func(count int) []string {
			all := &reads{all: map[string]int{}}
			one, err := s.client.join(group, s.topics, all.took(s))
			must(err)
			s.until(fmt.Sprint(count, " are read"), func() bool { return all.count() == count })
			one.leave()
			names := []string{}
			for name := range all.all {
				names = append(names, name)
			}
			sort.Strings(names)
			return names
		}
		seen["first"] = read(20 + 4*g)
		seen["committed"], _ = s.client.committed(group, s.places(2))
		s.fill("more", 2, 1)
		seen["then"] = read(4)
		seen["committed then"], _ = s.client.committed(group, s.places(2))
		s.saw(fmt.Sprint("group ", g+1), seen)
	}
}

// One member, then two, then the other one alone.
func rebalance(s *stage) {
	const partitions = 4
	s.create(partitions, nil)
	for g, group := range s.groups {
		all := &reads{all: map[string]int{}}
		total := g * 3 * 2 * partitions
		round := func(number int) {
			s.fill(fmt.Sprint("group-", g, "-round-", number), partitions, 1)
			total += 2 * partitions
			s.until("all is read", func() bool { return all.count() == total })
		}
		first, err := s.client.join(group, s.topics, all.took(s))
		must(err)
		s.until("the first has all", func() bool { return len(first.has()) == 2*partitions })
		round(0)
		second, err := s.client.join(group, s.topics, all.took(s))
		must(err)
		s.until("both have half", func() bool { return len(first.has()) == partitions && len(second.has()) == partitions })
		round(1)
		first.leave()
		s.until("the second has all", func() bool { return len(second.has()) == 2*partitions })
		round(2)
		second.leave()
		committed, err := s.client.committed(group, s.places(partitions))
		must(err)
		s.saw(fmt.Sprint("group ", g+1), map[string]any{"committed": committed, "records": all.count()})
	}
}

// Fifty batches of one record for one topic, its name taken as it is: none may fail.
func refused(s *stage) {
	at := place{strings.TrimSuffix(s.topics[0], "."+s.name), 0}
	var records []record
	for i := range 50 {
		records = append(records, record{at: at, value: fmt.Append(nil, i)})
	}
	_, err := s.client.send(sending{acks: -1, idempotent: true}, records)
	must(err)
}
