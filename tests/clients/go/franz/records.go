package main

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

// Scenarios about records: what is produced is what is read.

var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func codecs(s *stage) {
	s.create(1, nil)
	ways := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(),
		kgo.Lz4Compression(), kgo.ZstdCompression()}
	for i, way := range ways {
		client := s.connect(kgo.ProducerBatchCompression(way), kgo.ProducerLinger(200*time.Millisecond))
		var records []*kgo.Record
		for n := range 10 {
			for _, at := range s.Places(1) {
				records = append(records, record(at, fmt.Sprint(codecNames[i], "-", n, "-", strings.Repeat("x", 50))))
			}
		}
		results := client.ProduceSync(s.ctx, records...)
		play.Must(results.FirstErr())
		s.Saw(codecNames[i], offsetsOf(s, results))
		client.Close()
	}
	read := s.readAll(s.Places(1))
	s.Saw("read", aliased(s, read, offsetsAndValues))
	s.Saw("codecs read", aliased(s, read, codecsOf))
}

// Where each record went, in the order they were sent in.
func offsetsOf(s *stage, results kgo.ProduceResults) []string {
	var all []string
	for _, result := range results {
		all = append(all, fmt.Sprint(s.TopicAlias(result.Record.Topic), "@", result.Record.Offset))
	}
	sort.Strings(all)
	return all
}

func offsetsAndValues(records []*kgo.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprint(r.Offset, "=", string(r.Value)))
	}
	return all
}

func codecsOf(records []*kgo.Record) []string {
	var all []string
	for _, r := range records {
		name := codecNames[r.Attrs.CompressionType()]
		if len(all) == 0 || all[len(all)-1] != name {
			all = append(all, name)
		}
	}
	return all
}

// What codecs the batches of topics have that another client filled: the topics' names are taken as they are.
func look(s *stage) {
	for i, topic := range s.Topics {
		s.Topics[i] = strings.TrimSuffix(topic, "."+s.Name)
	}
	s.Saw("codecs read", aliased(s, s.readAll(s.Places(1)), codecsOf))
}

func headers(s *stage) {
	s.create(1, nil)
	header := func(key string, value []byte) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: value} }
	sets := [][]kgo.RecordHeader{
		nil,
		{header("k", []byte("1")), header("other", []byte("x")), header("k", []byte("2")), header("k", []byte("1"))},
		{header("null", nil), header("empty", []byte{}), header("", []byte("empty key")), header("", nil)},
		{header("Ключ-鍵-🔑", []byte("значение")), header("long", []byte(strings.Repeat("v", 300)))},
		{header("no utf-8 \xff\xfe", []byte("\xff\x00"))},
	}
	for _, topic := range s.Topics {
		for _, set := range sets {
			r := &kgo.Record{Topic: topic, Key: []byte("key"), Value: []byte("value"), Headers: set}
			play.Must(s.client.ProduceSync(s.ctx, r).FirstErr())
		}
		for _, key := range [][]byte{nil, {}, []byte("key")} {
			for _, value := range [][]byte{nil, {}, []byte("value")} {
				play.Must(s.client.ProduceSync(s.ctx, &kgo.Record{Topic: topic, Key: key, Value: value}).FirstErr())
			}
		}
	}
	s.Saw("read", aliased(s, s.readAll(s.Places(1)), func(records []*kgo.Record) []any {
		var all []any
		for _, r := range records {
			pairs := [][2]any{}
			for _, h := range r.Headers {
				pairs = append(pairs, [2]any{fmt.Sprintf("%q", h.Key), quoted(h.Value)})
			}
			all = append(all, map[string]any{"offset": r.Offset, "key": text(r.Key), "value": text(r.Value),
				"headers": pairs, "timestamp type": r.Attrs.TimestampType(), "epoch": r.LeaderEpoch})
		}
		return all
	}))
}

func quoted(bytes []byte) any {
	if bytes == nil {
		return nil
	}
	return fmt.Sprintf("%q", bytes)
}

func acks(s *stage) {
	s.create(1, nil)
	ways := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	for round, name := range []string{"0", "1", "all"} {
		client := s.connect(kgo.RequiredAcks(ways[name]), kgo.DisableIdempotentWrite(), kgo.ProducerLinger(0))
		var offsets []string
		for i := range 20 {
			for _, at := range s.Places(1) {
				results := client.ProduceSync(s.ctx, record(at, fmt.Sprint(name, "-", i)))
				play.Must(results.FirstErr())
				if name != "0" {
					offsets = append(offsets, offsetsOf(s, results)...)
				}
			}
		}
		s.Saw(name, offsets)
		// Nobody says when a record without acknowledgement is there.
		s.Until("all are there", func() bool {
			ends, err := s.admin.ListEndOffsets(s.ctx, s.Topics...)
			one, _ := ends.Lookup(s.Topics[0], 0)
			two, _ := ends.Lookup(s.Topics[1], 0)
			return err == nil && one.Offset == int64(round+1)*20 && two.Offset == int64(round+1)*20
		})
		client.Close()
	}
	s.Saw("read", aliased(s, s.readAll(s.Places(1)), offsetsAndValues))
}

func idempotent(s *stage) {
	const count = 2000
	s.create(4, nil)
	client := s.connect(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(time.Millisecond),
		kgo.ProducerBatchMaxBytes(1000))
	defer client.Close()
	failures := make(chan string, count*8)
	for i := range count {
		for _, at := range s.Places(4) {
			client.Produce(s.ctx, record(at, fmt.Sprint(i)), func(_ *kgo.Record, err error) {
				if err != nil {
					failures <- nameOf(err)
				}
			})
		}
	}
	play.Must(client.Flush(s.ctx))
	close(failures)
	errors := []string{}
	for failure := range failures {
		errors = append(errors, failure)
	}
	s.Saw("errors", errors)
	s.Saw("read", aliased(s, s.readAll(s.Places(4)), sequence))
}

// Whether the values are 0, 1, 2, ... at offsets 0, 1, 2, ...; else the first place where they are not.
func sequence(records []*kgo.Record) string {
	for i, r := range records {
		if r.Offset != int64(i) || string(r.Value) != fmt.Sprint(i) {
			return fmt.Sprintf("record %d is %s at offset %d", i, r.Value, r.Offset)
		}
	}
	return fmt.Sprint(len(records), " in order")
}

func large(s *stage) {
	s.create(1, nil)
	random := rand.New(rand.NewPCG(1, 2))
	// Random, or it would be small once compressed.
	of := func(at play.Place, size int) *kgo.Record {
		r := record(at, "")
		r.Value = make([]byte, size)
		for i := range r.Value {
			r.Value[i] = byte(random.Uint32())
		}
		return r
	}
	var offsets []string
	for range 4 {
		for _, at := range s.Places(1) {
			results := s.client.ProduceSync(s.ctx, of(at, 900_000))
			play.Must(results.FirstErr())
			offsets = append(offsets, offsetsOf(s, results)...)
		}
	}
	s.Saw("offsets", offsets)
	// Above the topic's limit but not above the client's own.
	bold := s.connect(kgo.ProducerBatchMaxBytes(3_000_000))
	defer bold.Close()
	for _, at := range s.Places(1) {
		s.Saw("refused by "+s.Alias(at), nameOf(bold.ProduceSync(s.ctx, of(at, 2_000_000)).FirstErr()))
	}
	s.Saw("read", aliased(s, s.readAll(s.Places(1)), func(records []*kgo.Record) []string {
		var all []string
		for _, r := range records {
			all = append(all, fmt.Sprintf("%d: %d %x", r.Offset, len(r.Value), crc32.ChecksumIEEE(r.Value)))
		}
		return all
	}))
}

func manyPartitions(s *stage) {
	s.create(50, nil)
	s.fill("v", 50, 3)
	s.Saw("read", aliased(s, s.readAll(s.Places(50)), offsetsAndValues))
}

// Fifty batches of one record for one topic, its name taken as it is: none may fail.
func refused(s *stage) {
	// The smallest batches that there may be hold one record each when something large is in it.
	client := s.connect(kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(512))
	defer client.Close()
	at := play.Place{strings.TrimSuffix(s.Topics[0], "."+s.Name), 0}
	large := kgo.RecordHeader{Key: "large", Value: make([]byte, 300)}
	outcomes := make(chan error, 50)
	for i := range 50 {
		one := record(at, fmt.Sprint(i))
		one.Headers = append(one.Headers, large)
		client.Produce(s.ctx, one, func(_ *kgo.Record, err error) { outcomes <- err })
	}
	for range 50 {
		play.Must(<-outcomes)
	}
}
