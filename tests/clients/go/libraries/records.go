package main

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"

	"fishplate/tests/clients/go/play"
)

// Scenarios about records: what is produced is what is read.

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
			for _, at := range s.Places(1) {
				records = append(records, record{at: at, value: fmt.Append(nil, codec, "-", n, "-", strings.Repeat("x", 50))})
			}
		}
		_, err := s.send(sending{codec: codec, acks: -1, together: len(records)}, records)
		play.Must(err)
	}
	s.Saw("read", s.contents(1, offsetsAndValues))
}

func headers(s *stage) {
	s.create(1, nil)
	sets := [][]header{
		nil,
		{{"k", []byte("1")}, {"other", []byte("x")}, {"k", []byte("2")}, {"k", []byte("1")}},
		{{"null", nil}, {"empty", []byte{}}, {"", []byte("empty key")}},
		{{"Ключ-鍵-🔑", []byte("значение")}, {"long", []byte(strings.Repeat("v", 300))}},
	}
	for _, at := range s.Places(1) {
		for _, set := range sets {
			r := record{at: at, key: []byte("key"), value: []byte("value"), headers: set}
			_, err := s.send(sending{acks: -1}, []record{r})
			play.Must(err)
		}
	}
	s.Saw("read", s.contents(1, func(records []record) any {
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
			for _, at := range s.Places(1) {
				records = append(records, record{at: at, value: fmt.Append(nil, acks, "-", i)})
			}
		}
		_, err := s.send(sending{acks: acks}, records)
		play.Must(err)
		// Nobody says when a record without acknowledgement is there.
		s.Until("all are there", func() bool {
			return !slices.ContainsFunc(s.Places(1), func(at play.Place) bool {
				_, end, err := s.client.ends(at)
				return err != nil || end != int64(20*(round+1))
			})
		})
	}
	s.Saw("read", s.contents(1, offsetsAndValues))
}

func idempotent(s *stage) {
	s.create(4, nil)
	var records []record
	for i := range 500 {
		for _, at := range s.Places(4) {
			records = append(records, record{at: at, value: fmt.Append(nil, i)})
		}
	}
	_, err := s.send(sending{acks: -1, idempotent: true}, records)
	play.Must(err)
	s.Saw("read", s.contents(4, func(records []record) any {
		for i, r := range records {
			if string(r.value) != fmt.Sprint(i) || r.offset != int64(i) {
				return fmt.Sprint("record ", i, " is ", string(r.value), " at ", r.offset)
			}
		}
		return fmt.Sprint(len(records), " in order")
	}))
}

func large(s *stage) {
	s.create(1, map[string]string{"max.message.bytes": "1000000"})
	random := rand.New(rand.NewPCG(7, 0))
	of := func(at play.Place, size int) []record {
		value := make([]byte, size)
		for i := range value {
			value[i] = byte(random.Uint32())
		}
		return []record{{at: at, value: value}}
	}
	for range 4 {
		for _, at := range s.Places(1) {
			_, err := s.send(sending{acks: -1}, of(at, 900_000))
			play.Must(err)
		}
	}
	// Above the topic's limit but not above the client's own.
	for _, at := range s.Places(1) {
		_, err := s.send(sending{acks: -1, bold: true}, of(at, 2_000_000))
		s.Saw("refused by "+s.Alias(at), s.client.nameOf(err))
	}
	s.Saw("read", s.contents(1, func(records []record) any {
		var all []string
		for _, r := range records {
			all = append(all, fmt.Sprintf("%d: %d %x", r.offset, len(r.value), crc32.ChecksumIEEE(r.value)))
		}
		return all
	}))
}

func manyPartitions(s *stage) {
	s.create(20, nil)
	s.fill("v", 20, 3)
	s.Saw("read", s.contents(20, offsetsAndValues))
}

// Fifty batches of one record for one topic, its name taken as it is: none may fail.
func refused(s *stage) {
	at := play.Place{Topic: strings.TrimSuffix(s.Topics[0], "."+s.Name)}
	var records []record
	for i := range 50 {
		records = append(records, record{at: at, value: fmt.Append(nil, i)})
	}
	_, err := s.send(sending{acks: -1, idempotent: true}, records)
	play.Must(err)
}
