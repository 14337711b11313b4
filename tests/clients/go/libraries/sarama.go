package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"sync"
	"time"

	"fishplate/tests/clients/go/play"

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
	play.Must(err)
	admin, err := sarama.NewClusterAdminFromClient(client)
	play.Must(err)
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
	// A topic that is made on the way is there when every broker has heard of it: on a busy machine that takes a while.
	c.Metadata.Retry.Max = 20
	return c
}

func (l *saramaLibrary) close() { _ = l.admin.Close() }

func (l *saramaLibrary) isIdempotent() bool { return true }

// Texts of other errors name the topic, which is called otherwise in each run.
func (l *saramaLibrary) nameOf(err error) string {
	var kafka sarama.KError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &kafka):
		return kafka.Error()
	default:
		return err.Error()
	}
}

func (l *saramaLibrary) create(topic string, partitions int32, replicas int16, configs map[string]string) error {
	entries := map[string]*string{}
	for key, value := range configs {
		entries[key] = &value
	}
	return l.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries}, false)
}

func (l *saramaLibrary) grow(topic string, partitions int32) error {
	return l.admin.CreatePartitions(topic, partitions, nil, false)
}

func (l *saramaLibrary) delete(topic string) error { return l.admin.DeleteTopic(topic) }

func (l *saramaLibrary) topics() ([]string, error) {
	if err := l.client.RefreshMetadata(); err != nil {
		return nil, err
	}
	return l.client.Topics()
}

func (l *saramaLibrary) configs(topic string, names []string) (map[string]string, error) {
	all, err := l.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: names})
	found := map[string]string{}
	for _, one := range all {
		found[one.Name] = one.Value
	}
	return found, err
}

func (l *saramaLibrary) cluster(topics []string) (cluster, error) {
	brokers, controller, err := l.admin.DescribeCluster()
	if err != nil {
		return cluster{}, err
	}
	seen := cluster{controller: controller, leaders: map[string][]int32{}}
	for _, broker := range brokers {
		seen.nodes = append(seen.nodes, ofSaramaBroker(broker))
	}
	described, err := l.admin.DescribeTopics(topics)
	if err != nil {
		return seen, err
	}
	for _, topic := range described {
		for _, partition := range topic.Partitions {
			seen.leaders[topic.Name] = append(seen.leaders[topic.Name], partition.Leader)
		}
	}
	return seen, nil
}

func ofSaramaBroker(broker *sarama.Broker) node {
	host, port, _ := strings.Cut(broker.Addr(), ":")
	one := node{ID: broker.ID(), Host: host}
	fmt.Sscan(port, &one.Port)
	return one
}

type saramaWriter struct{ producer sarama.AsyncProducer }

func (l *saramaLibrary) writer(how sending) (writer, error) {
	c := l.config()
	c.Producer.RequiredAcks = sarama.RequiredAcks(how.acks)
	c.Producer.Compression = saramaCodecs[how.codec]
	if how.idempotent {
		// It may have no more than one request open.
		c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
		c.Producer.Flush.MaxMessages = 5
	}
	if how.together > 0 {
		c.Producer.Flush.Frequency, c.Producer.Flush.Messages = 200*time.Millisecond, how.together
	}
	if how.bold {
		c.Producer.MaxMessageBytes = 3_000_000
	}
	producer, err := sarama.NewAsyncProducer(l.servers, c)
	return saramaWriter{producer}, err
}

func (w saramaWriter) send(records []record) ([]int64, error) {
	go func() {
		for i, r := range records {
			m := &sarama.ProducerMessage{Topic: r.at.Topic, Partition: r.at.Partition, Metadata: i, Value: sarama.ByteEncoder(r.value)}
			if r.key != nil {
				m.Key = sarama.ByteEncoder(r.key)
			}
			for _, h := range r.headers {
				m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
			}
			if r.time != 0 {
				m.Timestamp = time.UnixMilli(r.time)
			}
			w.producer.Input() <- m
		}
	}()
	offsets := make([]int64, len(records))
	var err error
	for range records {
		select {
		case m := <-w.producer.Successes():
			offsets[m.Metadata.(int)] = m.Offset
		case failed := <-w.producer.Errors():
			err = failed.Err
		}
	}
	return offsets, err
}

func (w saramaWriter) close() error { return w.producer.Close() }

func (l *saramaLibrary) ends(at play.Place) (int64, int64, error) {
	if err := l.client.RefreshMetadata(at.Topic); err != nil {
		return 0, 0, err
	}
	first, err := l.client.GetOffset(at.Topic, at.Partition, sarama.OffsetOldest)
	if err != nil {
		return 0, 0, err
	}
	end, err := l.client.GetOffset(at.Topic, at.Partition, sarama.OffsetNewest)
	return first, end, err
}

func (l *saramaLibrary) offsetAt(at play.Place, time int64) (int64, error) {
	return l.client.GetOffset(at.Topic, at.Partition, time)
}

type saramaReader struct {
	consumer  sarama.Consumer
	at        play.Place
	partition sarama.PartitionConsumer
}

func (l *saramaLibrary) reader(at play.Place, from int64) (reader, error) {
	consumer, err := sarama.NewConsumerFromClient(l.client)
	if err != nil {
		return nil, err
	}
	// When it is back, it has asked where the end is.
	partition, err := consumer.ConsumePartition(at.Topic, at.Partition, from)
	return &saramaReader{consumer, at, partition}, err
}

func (r *saramaReader) next(count int) ([]record, error) {
	var all []record
	for len(all) < count {
		select {
		case m := <-r.partition.Messages():
			all = append(all, ofSarama(m))
		case <-time.After(play.Soon):
			return nil, fmt.Errorf("only %d of %d records", len(all), count)
		}
	}
	return all, nil
}

// A partition is given up and taken again: that is its way.
func (r *saramaReader) seek(offset int64) (err error) {
	if err = r.partition.Close(); err == nil {
		r.partition, err = r.consumer.ConsumePartition(r.at.Topic, r.at.Partition, offset)
	}
	return err
}

func (r *saramaReader) close() error { return errors.Join(r.partition.Close(), r.consumer.Close()) }

func ofSarama(m *sarama.ConsumerMessage) record {
	r := record{at: play.Place{Topic: m.Topic, Partition: m.Partition}, offset: m.Offset, key: m.Key, value: m.Value, time: m.Timestamp.UnixMilli()}
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

	lock    sync.Mutex
	session sarama.ConsumerGroupSession
}

func (l *saramaLibrary) join(group string, topics []string, how joining, took func(record)) (member, error) {
	c := l.config()
	balance := sarama.NewBalanceStrategyRange()
	if how.cooperative {
		balance = sarama.NewBalanceStrategyCooperativeSticky()
	}
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{balance}
	c.Consumer.Group.InstanceId = how.instance
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
	m.session = session
	return nil
}

func (m *saramaMember) Cleanup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session = nil
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

func (m *saramaMember) has() []play.Place {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.session == nil {
		return nil
	}
	return ofSaramaAssignment(m.session.Claims())
}

func ofSaramaAssignment(assigned map[string][]int32) []play.Place {
	var all []play.Place
	for topic, partitions := range assigned {
		for _, partition := range partitions {
			all = append(all, play.Place{Topic: topic, Partition: partition})
		}
	}
	return all
}

func (m *saramaMember) leave() {
	m.stop()
	<-m.done
	play.Must(m.group.Close())
}

func (l *saramaLibrary) committed(group string, places []play.Place) ([]int64, error) {
	asked := map[string][]int32{}
	for _, at := range places {
		asked[at.Topic] = append(asked[at.Topic], at.Partition)
	}
	told, err := l.admin.ListConsumerGroupOffsets(group, asked)
	if err != nil {
		return nil, err
	}
	var all []int64
	for _, at := range places {
		all = append(all, told.GetBlock(at.Topic, at.Partition).Offset)
	}
	return slices.Clip(all), nil
}

func (l *saramaLibrary) groups() (map[string]int, error) {
	all, err := l.admin.ListConsumerGroups()
	found := map[string]int{}
	for name := range all {
		found[name] = 1
	}
	return found, err
}

func (l *saramaLibrary) group(name string) (group, error) {
	all, err := l.admin.DescribeConsumerGroups([]string{name})
	if err != nil {
		return group{}, err
	}
	one := all[0]
	found := group{state: one.State, protocol: one.ProtocolType + "/" + one.Protocol}
	for _, member := range one.Members {
		assigned, err := member.GetMemberAssignment()
		if err != nil {
			return found, err
		}
		found.members = append(found.members, member.ClientId)
		found.places = append(found.places, ofSaramaAssignment(assigned.Topics))
	}
	if one.ErrorCode != 0 {
		return found, one.Err
	}
	return found, nil
}

func (l *saramaLibrary) deleteGroup(name string) error { return l.admin.DeleteConsumerGroup(name) }

func (l *saramaLibrary) coordinator(group string) (node, error) {
	broker, err := l.admin.Coordinator(group)
	if err != nil {
		return node{}, err
	}
	return ofSaramaBroker(broker), nil
}
