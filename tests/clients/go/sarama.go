package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// IBM/sarama.

type saramaLibrary struct {
	servers []string
	id      string
	client  sarama.Client
	admin   sarama.ClusterAdmin
}

var saramaCodecs = map[string]sarama.CompressionCodec{"": sarama.CompressionNone, "none": sarama.CompressionNone,
	"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}

func newSarama(bootstrap, id string, out io.Writer) library {
	sarama.Logger = log.New(out, "", log.LstdFlags)
	l := &saramaLibrary{servers: strings.Split(bootstrap, ","), id: id}
	client, err := sarama.NewClient(l.servers, l.config())
	must(err)
	admin, err := sarama.NewClusterAdminFromClient(client)
	must(err)
	l.client, l.admin = client, admin
	return l
}

func (l *saramaLibrary) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.ClientID = l.id
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	c.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	c.Metadata.RefreshFrequency = time.Minute
	return c
}

func (l *saramaLibrary) close() { _ = l.admin.Close() }

func (l *saramaLibrary) create(topic string, partitions int32, configs map[string]string) error {
	entries := map[string]*string{}
	for key, value := range configs {
		entries[key] = &value
	}
	return l.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}, false)
}

func (l *saramaLibrary) send(how sending, records []record) ([]int64, error) {
	c := l.config()
	c.Producer.RequiredAcks = sarama.RequiredAcks(how.acks)
	c.Producer.Compression = saramaCodecs[how.codec]
	if how.idempotent {
		// It may have no more than one request open.
		c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
		c.Producer.Flush.MaxMessages = 5
	}
	if how.together {
		c.Producer.Flush.Frequency, c.Producer.Flush.Messages = 200*time.Millisecond, len(records)
	}
	producer, err := sarama.NewAsyncProducer(l.servers, c)
	if err != nil {
		return nil, err
	}
	go func() {
		for i, r := range records {
			m := &sarama.ProducerMessage{Topic: r.at.topic, Partition: r.at.partition, Metadata: i, Value: sarama.ByteEncoder(r.value)}
			if r.key != nil {
				m.Key = sarama.ByteEncoder(r.key)
			}
			for _, h := range r.headers {
				m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
			}
			if r.time != 0 {
				m.Timestamp = time.UnixMilli(r.time)
			}
			producer.Input() <- m
		}
	}()
	offsets := make([]int64, len(records))
	for range records {
		select {
		case m := <-producer.Successes():
			offsets[m.Metadata.(int)] = m.Offset
		case failed := <-producer.Errors():
			err = failed.Err
		}
	}
	return offsets, firstOf(err, producer.Close())
}

func firstOf(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *saramaLibrary) ends(at place) (int64, int64, error) {
	if err := l.client.RefreshMetadata(at.topic); err != nil {
		return 0, 0, err
	}
	first, err := l.client.GetOffset(at.topic, at.partition, sarama.OffsetOldest)
	if err != nil {
		return 0, 0, err
	}
	end, err := l.client.GetOffset(at.topic, at.partition, sarama.OffsetNewest)
	return first, end, err
}

func (l *saramaLibrary) offsetAt(at place, time int64) (int64, error) {
	return l.client.GetOffset(at.topic, at.partition, time)
}

func (l *saramaLibrary) read(at place, from int64, count int, ready func()) ([]record, error) {
	consumer, err := sarama.NewConsumerFromClient(l.client)
	if err != nil {
		return nil, err
	}
	partition, err := consumer.ConsumePartition(at.topic, at.partition, from)
	if err != nil {
		return nil, err
	}
	defer partition.Close()
	// It has asked where the end is.
	ready()
	var all []record
	for len(all) < count {
		select {
		case m := <-partition.Messages():
			all = append(all, ofSarama(m))
		case <-time.After(20 * time.Second):
			return nil, fmt.Errorf("only %d of %d records", len(all), count)
		}
	}
	return all, nil
}

func ofSarama(m *sarama.ConsumerMessage) record {
	r := record{at: place{m.Topic, m.Partition}, offset: m.Offset, key: m.Key, value: m.Value, time: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		r.headers = append(r.headers, header{string(h.Key), h.Value})
	}
	return r
}

type saramaMember struct {
	group sarama.ConsumerGroup
	stop  context.CancelFunc
	done  chan struct{}
	took  func(record)

	lock     sync.Mutex
	assigned map[string][]int32
}

func (l *saramaLibrary) join(group string, topics []string, took func(record)) (member, error) {
	c := l.config()
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	consumers, err := sarama.NewConsumerGroup(l.servers, group, c)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &saramaMember{group: consumers, stop: stop, done: make(chan struct{}), took: took}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			_ = consumers.Consume(ctx, topics, m)
		}
	}()
	return m, nil
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.assigned = maps.Clone(session.Claims())
	return nil
}

func (m *saramaMember) Cleanup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.assigned = nil
	session.Commit()
	return nil
}

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case one, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.took(ofSarama(one))
			session.MarkMessage(one, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *saramaMember) has() []place {
	m.lock.Lock()
	defer m.lock.Unlock()
	var all []place
	for topic, partitions := range m.assigned {
		for _, partition := range partitions {
			all = append(all, place{topic, partition})
		}
	}
	return all
}

func (m *saramaMember) leave() {
	m.stop()
	<-m.done
	must(m.group.Close())
}

func (l *saramaLibrary) committed(group string, places []place) ([]int64, error) {
	asked := map[string][]int32{}
	for _, at := range places {
		asked[at.topic] = append(asked[at.topic], at.partition)
	}
	told, err := l.admin.ListConsumerGroupOffsets(group, asked)
	if err != nil {
		return nil, err
	}
	var all []int64
	for _, at := range places {
		all = append(all, told.GetBlock(at.topic, at.partition).Offset)
	}
	return slices.Clip(all), nil
}
