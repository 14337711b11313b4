package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// segmentio/kafka-go.

type kafkaGoLibrary struct {
	address net.Addr
	server  string
	log     *log.Logger
	client  *kafka.Client
}

var kafkaGoCodecs = map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

func newKafkaGo(bootstrap, id string, out io.Writer) library {
	servers := strings.Split(bootstrap, ",")
	address := kafka.TCP(servers...)
	logger := log.New(out, "", log.LstdFlags)
	logger.Print("bootstrap ", bootstrap)
	transport := &kafka.Transport{ClientID: id, MetadataTTL: time.Second}
	return &kafkaGoLibrary{address: address, server: servers[0], log: logger,
		client: &kafka.Client{Addr: address, Transport: transport, Timeout: 20 * time.Second}}
}

func (l *kafkaGoLibrary) close() {}

func (l *kafkaGoLibrary) create(topic string, partitions int32, configs map[string]string) error {
	config := kafka.TopicConfig{Topic: topic, NumPartitions: int(partitions), ReplicationFactor: 1}
	for key, value := range configs {
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: key, ConfigValue: value})
	}
	told, err := l.client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil {
		return err
	}
	return told.Errors[topic]
}

// The balancer that takes the partition that a record is for.
type asked struct{ records []record }

func (a asked) Balance(m kafka.Message, _ ...int) int {
	return int(a.records[m.WriterData.(int)].at.partition)
}

func (l *kafkaGoLibrary) send(how sending, records []record) ([]int64, error) {
	w := &kafka.Writer{Addr: l.address, Balancer: asked{records}, RequiredAcks: kafka.RequiredAcks(how.acks),
		Compression: kafkaGoCodecs[how.codec], BatchTimeout: 10 * time.Millisecond, Transport: l.client.Transport, Logger: l.log}
	if how.together {
		w.BatchTimeout, w.BatchSize = 200*time.Millisecond, len(records)
	}
	defer w.Close()
	var all []kafka.Message
	for i, r := range records {
		m := kafka.Message{Topic: r.at.topic, Key: r.key, Value: r.value, WriterData: i}
		for _, h := range r.headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.key, Value: h.value})
		}
		if r.time != 0 {
			m.Time = time.UnixMilli(r.time)
		}
		all = append(all, m)
	}
	return nil, w.WriteMessages(context.Background(), all...)
}

func (l *kafkaGoLibrary) listed(at place, asked kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	told, err := l.client.ListOffsets(context.Background(),
		&kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{at.topic: {asked}}})
	if err != nil {
		return kafka.PartitionOffsets{}, err
	}
	for _, one := range told.Topics[at.topic] {
		return one, one.Error
	}
	return kafka.PartitionOffsets{}, fmt.Errorf("%v was left out", at)
}

func (l *kafkaGoLibrary) ends(at place) (int64, int64, error) {
	first, err := l.listed(at, kafka.FirstOffsetOf(int(at.partition)))
	if err != nil {
		return 0, 0, err
	}
	last, err := l.listed(at, kafka.LastOffsetOf(int(at.partition)))
	return first.FirstOffset, last.LastOffset, err
}

func (l *kafkaGoLibrary) offsetAt(at place, ms int64) (int64, error) {
	told, err := l.listed(at, kafka.TimeOffsetOf(int(at.partition), time.UnixMilli(ms)))
	for offset := range told.Offsets {
		return offset, err
	}
	return -1, err
}

func (l *kafkaGoLibrary) read(at place, from int64, count int, ready func()) ([]record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := kafka.DialLeader(ctx, "tcp", l.server, at.topic, int(at.partition))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	must(conn.SetDeadline(deadline))
	switch from {
	case -2:
		_, err = conn.Seek(0, kafka.SeekStart)
	case -1:
		_, err = conn.Seek(0, kafka.SeekEnd)
	default:
		_, err = conn.Seek(from, kafka.SeekAbsolute)
	}
	if err != nil {
		return nil, err
	}
	ready()
	var all []record
	for len(all) < count {
		m, err := conn.ReadMessage(1 << 20)
		if err != nil {
			return nil, fmt.Errorf("%d of %d records: %w", len(all), count, err)
		}
		all = append(all, ofKafkaGo(m))
	}
	return all, nil
}

func ofKafkaGo(m kafka.Message) record {
	r := record{at: place{m.Topic, int32(m.Partition)}, offset: m.Offset, key: m.Key, value: m.Value, time: m.Time.UnixMilli()}
	for _, h := range m.Headers {
		r.headers = append(r.headers, header{h.Key, h.Value})
	}
	return r
}

// A member that speaks the group protocol itself: kafka-go's Reader does not say what it is assigned.
type kafkaGoMember struct {
	group *kafka.ConsumerGroup
	stop  context.CancelFunc
	done  chan struct{}

	lock     sync.Mutex
	assigned []place
}

func (l *kafkaGoLibrary) join(group string, topics []string, took func(record)) (member, error) {
	consumers, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: []string{l.server}, Topics: topics,
		HeartbeatInterval: 300 * time.Millisecond, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second,
		JoinGroupBackoff: 100 * time.Millisecond, StartOffset: kafka.FirstOffset, Logger: l.log})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &kafkaGoMember{group: consumers, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			generation, err := consumers.Next(ctx)
			if err != nil {
				continue
			}
			m.serve(l, generation, took)
		}
	}()
	return m, nil
}

func (m *kafkaGoMember) serve(l *kafkaGoLibrary, generation *kafka.Generation, took func(record)) {
	var mine []place
	for topic, partitions := range generation.Assignments {
		for _, one := range partitions {
			at := place{topic, int32(one.ID)}
			mine = append(mine, at)
			from := one.Offset
			generation.Start(func(ctx context.Context) { m.consume(ctx, l, generation, at, from, took) })
		}
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	m.assigned = mine
}

func (m *kafkaGoMember) consume(ctx context.Context, l *kafkaGoLibrary, generation *kafka.Generation, at place, from int64,
	took func(record)) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{l.server}, Topic: at.topic, Partition: int(at.partition),
		MaxWait: 100 * time.Millisecond, ReadBackoffMin: 10 * time.Millisecond, Logger: l.log})
	defer reader.Close()
	must(reader.SetOffset(from))
	for {
		one, err := reader.ReadMessage(ctx)
		if err != nil {
			return
		}
		took(ofKafkaGo(one))
		_ = generation.CommitOffsets(map[string]map[int]int64{at.topic: {int(at.partition): one.Offset + 1}})
	}
}

func (m *kafkaGoMember) has() []place {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.assigned
}

func (m *kafkaGoMember) leave() {
	m.stop()
	must(m.group.Close())
	<-m.done
}

func (l *kafkaGoLibrary) committed(group string, places []place) ([]int64, error) {
	asked := map[string][]int{}
	for _, at := range places {
		asked[at.topic] = append(asked[at.topic], int(at.partition))
	}
	told, err := l.client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: asked})
	if err != nil {
		return nil, err
	}
	all := make([]int64, len(places))
	for i, at := range places {
		all[i] = -1
		for _, one := range told.Topics[at.topic] {
			if one.Partition == int(at.partition) {
				all[i] = one.CommittedOffset
			}
		}
	}
	return all, told.Error
}
