package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"fishplate/tests/clients/go/play"

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
		client: &kafka.Client{Addr: address, Transport: transport, Timeout: play.Soon}}
}

func (l *kafkaGoLibrary) close() {}

func (l *kafkaGoLibrary) isIdempotent() bool { return false }

// Texts of other errors name the topic, which is called otherwise in each run.
func (l *kafkaGoLibrary) nameOf(err error) string {
	var kafkas kafka.Error
	var large kafka.MessageTooLargeError
	var several kafka.WriteErrors
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &large):
		return "larger than it sends"
	case errors.As(err, &several) && several.Count() > 0:
		return l.nameOf(several[slices.IndexFunc(several, func(one error) bool { return one != nil })])
	case errors.As(err, &kafkas):
		return kafkas.Title()
	default:
		return err.Error()
	}
}

func (l *kafkaGoLibrary) create(topic string, partitions int32, replicas int16, configs map[string]string) error {
	config := kafka.TopicConfig{Topic: topic, NumPartitions: int(partitions), ReplicationFactor: int(replicas)}
	for key, value := range configs {
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: key, ConfigValue: value})
	}
	told, err := l.client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil {
		return err
	}
	return told.Errors[topic]
}

func (l *kafkaGoLibrary) grow(topic string, partitions int32) error {
	config := kafka.TopicPartitionsConfig{Name: topic, Count: partitions}
	told, err := l.client.CreatePartitions(context.Background(),
		&kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{config}})
	if err != nil {
		return err
	}
	return told.Errors[topic]
}

func (l *kafkaGoLibrary) delete(topic string) error {
	told, err := l.client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return told.Errors[topic]
}

// A connection of its own asks: the client's pool keeps what it has seen, for a while.
func (l *kafkaGoLibrary) topics() ([]string, error) {
	conn, err := kafka.Dial("tcp", l.server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	partitions, err := conn.ReadPartitions()
	var all []string
	for _, one := range partitions {
		if !slices.Contains(all, one.Topic) {
			all = append(all, one.Topic)
		}
	}
	return all, err
}

func (l *kafkaGoLibrary) configs(topic string, names []string) (map[string]string, error) {
	asked := kafka.DescribeConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: names}
	told, err := l.client.DescribeConfigs(context.Background(),
		&kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{asked}})
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, resource := range told.Resources {
		err = resource.Error
		for _, one := range resource.ConfigEntries {
			found[one.ConfigName] = one.ConfigValue
		}
	}
	return found, err
}

func (l *kafkaGoLibrary) cluster(topics []string) (cluster, error) {
	told, err := l.client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return cluster{}, err
	}
	seen := cluster{id: told.ClusterID, controller: int32(told.Controller.ID), leaders: map[string][]int32{}}
	for _, one := range told.Brokers {
		seen.nodes = append(seen.nodes, node{int32(one.ID), one.Host, int32(one.Port)})
	}
	for _, topic := range told.Topics {
		for _, partition := range topic.Partitions {
			seen.leaders[topic.Name] = append(seen.leaders[topic.Name], int32(partition.Leader.ID))
		}
	}
	return seen, nil
}

type kafkaGoWriter struct{ *kafka.Writer }

// The balancer that takes the partition that a record is for.
type asked struct{}

func (asked) Balance(m kafka.Message, _ ...int) int { return int(m.WriterData.(record).at.Partition) }

func (l *kafkaGoLibrary) writer(how sending) (writer, error) {
	w := &kafka.Writer{Addr: l.address, Balancer: asked{}, RequiredAcks: kafka.RequiredAcks(how.acks),
		Compression: kafkaGoCodecs[how.codec], BatchTimeout: 10 * time.Millisecond, Transport: l.client.Transport, Logger: l.log}
	if how.together > 0 {
		w.BatchTimeout, w.BatchSize = 200*time.Millisecond, how.together
	}
	if how.bold {
		w.BatchBytes = 3_000_000
	}
	return kafkaGoWriter{w}, nil
}

func (w kafkaGoWriter) send(records []record) ([]int64, error) {
	var all []kafka.Message
	for _, r := range records {
		m := kafka.Message{Topic: r.at.Topic, Key: r.key, Value: r.value, WriterData: r}
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

func (w kafkaGoWriter) close() error { return w.Close() }

func (l *kafkaGoLibrary) listed(at play.Place, asked kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	told, err := l.client.ListOffsets(context.Background(),
		&kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{at.Topic: {asked}}})
	if err != nil {
		return kafka.PartitionOffsets{}, err
	}
	for _, one := range told.Topics[at.Topic] {
		return one, one.Error
	}
	return kafka.PartitionOffsets{}, fmt.Errorf("%v was left out", at)
}

func (l *kafkaGoLibrary) ends(at play.Place) (int64, int64, error) {
	first, err := l.listed(at, kafka.FirstOffsetOf(int(at.Partition)))
	if err != nil {
		return 0, 0, err
	}
	last, err := l.listed(at, kafka.LastOffsetOf(int(at.Partition)))
	return first.FirstOffset, last.LastOffset, err
}

func (l *kafkaGoLibrary) offsetAt(at play.Place, ms int64) (int64, error) {
	told, err := l.listed(at, kafka.TimeOffsetOf(int(at.Partition), time.UnixMilli(ms)))
	for offset := range told.Offsets {
		return offset, err
	}
	return -1, err
}

type kafkaGoReader struct{ *kafka.Conn }

func (l *kafkaGoLibrary) reader(at play.Place, from int64) (reader, error) {
	ctx, cancel := context.WithTimeout(context.Background(), play.Soon)
	defer cancel()
	conn, err := kafka.DialLeader(ctx, "tcp", l.server, at.Topic, int(at.Partition))
	if err != nil {
		return nil, err
	}
	r := kafkaGoReader{conn}
	return r, r.seek(from)
}

func (r kafkaGoReader) next(count int) ([]record, error) {
	play.Must(r.SetDeadline(time.Now().Add(play.Soon)))
	var all []record
	for len(all) < count {
		m, err := r.ReadMessage(4 << 20)
		if err != nil {
			return nil, fmt.Errorf("%d of %d records: %w", len(all), count, err)
		}
		all = append(all, ofKafkaGo(m))
	}
	return all, nil
}

func (r kafkaGoReader) seek(offset int64) (err error) {
	switch offset {
	case earliest:
		_, err = r.Seek(0, kafka.SeekStart)
	case latest:
		_, err = r.Seek(0, kafka.SeekEnd)
	default:
		_, err = r.Seek(offset, kafka.SeekAbsolute)
	}
	return err
}

func (r kafkaGoReader) close() error { return r.Close() }

func ofKafkaGo(m kafka.Message) record {
	r := record{at: play.Place{Topic: m.Topic, Partition: int32(m.Partition)}, offset: m.Offset, key: m.Key, value: m.Value, time: m.Time.UnixMilli()}
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
	assigned []play.Place
}

func (l *kafkaGoLibrary) join(group string, topics []string, _ joining, took func(record)) (member, error) {
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
	var mine []play.Place
	for topic, partitions := range generation.Assignments {
		for _, one := range partitions {
			at := play.Place{Topic: topic, Partition: int32(one.ID)}
			mine = append(mine, at)
			from := one.Offset
			generation.Start(func(ctx context.Context) { m.consume(ctx, l, generation, at, from, took) })
		}
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	m.assigned = mine
}

func (m *kafkaGoMember) consume(ctx context.Context, l *kafkaGoLibrary, generation *kafka.Generation, at play.Place, from int64,
	took func(record)) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{l.server}, Topic: at.Topic, Partition: int(at.Partition),
		MaxWait: 100 * time.Millisecond, ReadBackoffMin: 10 * time.Millisecond, Logger: l.log})
	defer reader.Close()
	play.Must(reader.SetOffset(from))
	for {
		one, err := reader.ReadMessage(ctx)
		if err != nil {
			return
		}
		took(ofKafkaGo(one))
		_ = generation.CommitOffsets(map[string]map[int]int64{at.Topic: {int(at.Partition): one.Offset + 1}})
	}
}

func (m *kafkaGoMember) has() []play.Place {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.assigned
}

func (m *kafkaGoMember) leave() {
	m.stop()
	play.Must(m.group.Close())
	<-m.done
}

func (l *kafkaGoLibrary) committed(group string, places []play.Place) ([]int64, error) {
	asked := map[string][]int{}
	for _, at := range places {
		asked[at.Topic] = append(asked[at.Topic], int(at.Partition))
	}
	told, err := l.client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: asked})
	if err != nil {
		return nil, err
	}
	all := make([]int64, len(places))
	for i, at := range places {
		all[i] = -1
		for _, one := range told.Topics[at.Topic] {
			if one.Partition == int(at.Partition) {
				all[i] = one.CommittedOffset
			}
		}
	}
	return all, told.Error
}

func (l *kafkaGoLibrary) groups() (map[string]int, error) {
	told, err := l.client.ListGroups(context.Background(), &kafka.ListGroupsRequest{})
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, one := range told.Groups {
		found[one.GroupID]++
	}
	return found, told.Error
}

func (l *kafkaGoLibrary) group(name string) (group, error) {
	told, err := l.client.DescribeGroups(context.Background(), &kafka.DescribeGroupsRequest{GroupIDs: []string{name}})
	if err != nil {
		return group{}, err
	}
	one := told.Groups[0]
	found := group{state: one.GroupState}
	for _, member := range one.Members {
		var has []play.Place
		for _, topic := range member.MemberAssignments.Topics {
			for _, partition := range topic.Partitions {
				has = append(has, play.Place{Topic: topic.Topic, Partition: int32(partition)})
			}
		}
		// A client's id is its program's name, host and number here.
		found.members = append(found.members, "a member")
		found.places = append(found.places, has)
	}
	return found, one.Error
}

func (l *kafkaGoLibrary) deleteGroup(name string) error {
	told, err := l.client.DeleteGroups(context.Background(), &kafka.DeleteGroupsRequest{GroupIDs: []string{name}})
	if err != nil {
		return err
	}
	return told.Errors[name]
}

func (l *kafkaGoLibrary) coordinator(group string) (node, error) {
	told, err := l.client.FindCoordinator(context.Background(),
		&kafka.FindCoordinatorRequest{Key: group, KeyType: kafka.CoordinatorKeyTypeConsumer})
	if err != nil {
		return node{}, err
	}
	if told.Error != nil {
		return node{}, told.Error
	}
	return node{int32(told.Coordinator.NodeID), told.Coordinator.Host, int32(told.Coordinator.Port)}, nil
}
