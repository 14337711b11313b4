package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"fishplate/tests/clients/go/play"
)

// Scenarios about groups whose coordinator assigns partitions: the consumer protocol (KIP-848) and share groups (KIP-932).

const each = 5

func (s *stage) fillOne(topic string, partitions int32, prefix string) {
	client := s.connect()
	defer client.Close()
	var records []*kgo.Record
	for i := range each {
		for p := range partitions {
			records = append(records, record(play.Place{topic, p}, fmt.Sprint(prefix, "-", i)))
		}
	}
	play.Must(client.ProduceSync(s.ctx, records...).FirstErr())
}

// One member, then two, then one again; the topic grows; then a second topic, which may live elsewhere.
func assigned(s *stage) {
	s.create(groupPartitions, nil)
	group, topic := s.Groups[0], s.Topics[0]
	read := &play.Reads{}
	joinOne := func() *member {
		return join(s, group, read, kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer(), kgo.ConsumeTopics(topic))
	}
	all := func(expected int) func() bool {
		return func() bool { n, _ := read.Count(); return n == expected }
	}
	first := joinOne()
	s.Until("the first has all", func() bool { return len(first.has()) == groupPartitions })
	s.fillOne(topic, groupPartitions, "one")
	s.Until("the first reads all", all(groupPartitions*each))
	second := joinOne()
	s.Until("both have half", func() bool { return len(first.has()) == 2 && len(second.has()) == 2 })
	s.fillOne(topic, groupPartitions, "two")
	s.Until("both read all", all(2*groupPartitions*each))
	s.Saw("listed", typeOf(s, group))
	first.leave()
	s.Until("the second has all", func() bool { return len(second.has()) == groupPartitions })
	offsets, err := s.admin.FetchOffsets(s.ctx, group)
	play.Must(err)
	at := map[string]int64{}
	offsets.Each(func(o kadm.OffsetResponse) { at[s.Alias(play.Place{o.Topic, o.Partition})] = o.At })
	s.Saw("committed", at)
	_, err = s.admin.CreatePartitions(s.ctx, 2, topic)
	play.Must(err)
	s.Until("it has what has grown", func() bool { return len(second.has()) == groupPartitions+2 })
	s.fillOne(topic, groupPartitions+2, "three")
	s.Until("it reads all", all((3*groupPartitions+2)*each))
	second.leave()
	count, twice := read.Count()
	s.Saw("records read", count)
	s.Saw("read more than once", twice)
	s.Until("it is empty", func() bool { return deleteGroup(s, group) == "none" })
	// Where the coordinator cannot have both, the client goes on with the classic protocol.
	both := join(s, group+"-both", &play.Reads{}, kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer())
	s.Until("both topics", func() bool { return len(both.has()) == 2*groupPartitions+2 })
	s.Saw("both topics", typeOf(s, group+"-both"))
	both.leave()
}

func typeOf(s *stage, group string) string {
	for _, shard := range s.client.RequestSharded(s.ctx, kmsg.NewPtrListGroupsRequest()) {
		play.Must(shard.Err)
		for _, one := range shard.Resp.(*kmsg.ListGroupsResponse).Groups {
			if one.Group == group {
				return one.GroupType
			}
		}
	}
	return "not there"
}

// A member of a share group, and what became of what it was given.
type sharer struct {
	client *kgo.Client
	stop   context.CancelFunc
	done   chan struct{}
	failed error
}

type deliveries struct {
	lock sync.Mutex
	all  map[string][]string
}

func (d *deliveries) take(r *kgo.Record) kgo.AckStatus {
	d.lock.Lock()
	defer d.lock.Unlock()
	at := fmt.Sprint(r.Partition, "@", r.Offset)
	if r.Offset == 1 && len(d.all[at]) == 0 {
		d.all[at] = append(d.all[at], "released")
		return kgo.AckRelease
	}
	d.all[at] = append(d.all[at], "accepted")
	return kgo.AckAccept
}

func (d *deliveries) accepted() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	count := 0
	for _, one := range d.all {
		if slices.Contains(one, "accepted") {
			count++
		}
	}
	return count
}

func share(s *stage, group string, to *deliveries, topics ...string) *sharer {
	ctx, cancel := context.WithCancel(s.ctx)
	m := &sharer{stop: cancel, done: make(chan struct{})}
	m.client = s.connect(kgo.ShareGroup(group), kgo.ConsumeTopics(topics...))
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			turn, over := context.WithTimeout(ctx, 100*time.Millisecond)
			fetches := m.client.PollFetches(turn)
			over()
			for _, failure := range fetches.Errors() {
				var kafka *kerr.Error
				if errors.As(failure.Err, &kafka) {
					m.failed = failure.Err
				}
			}
			fetches.EachRecord(func(r *kgo.Record) { r.Ack(to.take(r)) })
			_ = m.client.FlushAcks(s.ctx)
		}
	}()
	return m
}

func (m *sharer) leave() {
	m.stop()
	<-m.done
	m.client.Close()
}

// Else a share group reads what comes after its first member.
func fromTheBeginning(s *stage, group string) {
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "share.auto.offset.reset", kmsg.StringPtr("earliest")
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	resource.Configs = append(resource.Configs, config)
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, resource)
	answer, err := request.RequestWith(s.ctx, s.client)
	play.Must(err)
	play.Must(kerr.ErrorForCode(answer.Resources[0].ErrorCode))
}

// Two members share what is in a topic; some is released, and comes again.
func shares(s *stage) {
	s.create(2, nil)
	group, topic := s.Groups[0], s.Topics[0]
	fromTheBeginning(s, group)
	to := &deliveries{all: map[string][]string{}}
	first, second := share(s, group, to, topic), share(s, group, to, topic)
	s.fillOne(topic, 2, "v")
	s.Until("all is accepted", func() bool { return to.accepted() == 2*each })
	described, err := s.admin.DescribeShareGroups(s.ctx, group)
	play.Must(err)
	s.Saw("described", fmt.Sprint(described[group].GroupState, ", ", len(described[group].Members)))
	first.leave()
	second.leave()
	var lines []string
	for _, one := range to.all {
		lines = append(lines, strings.Join(one, ", "))
	}
	sort.Strings(lines)
	s.Saw("delivered", lines)
	s.Saw("listed", typeOf(s, group))
}
