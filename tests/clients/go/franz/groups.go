package main

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

// Scenarios about consumer groups: who reads what when members come and go, and what admin sees of it.

const (
	groupPartitions = 4
	roundRecords    = 5 * 2 * groupPartitions
)

// A consumer that counts what it reads and knows what it is assigned.
type member struct {
	client *kgo.Client
	stop   context.CancelFunc
	done   chan struct{}

	lock     sync.Mutex
	assigned map[play.Place]bool
}

func join(s *stage, group string, read *play.Reads, more ...kgo.Opt) *member {
	ctx, cancel := context.WithCancel(s.ctx)
	m := &member{stop: cancel, done: make(chan struct{}), assigned: map[play.Place]bool{}}
	change := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, all map[string][]int32) {
			m.lock.Lock()
			defer m.lock.Unlock()
			for topic, partitions := range all {
				for _, partition := range partitions {
					if has {
						m.assigned[play.Place{topic, partition}] = true
					} else {
						delete(m.assigned, play.Place{topic, partition})
					}
				}
			}
		}
	}
	options := append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(s.Topics...), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)), kgo.BlockRebalanceOnPoll()}, more...)
	m.client = s.connect(options...)
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			turn, over := context.WithTimeout(ctx, 50*time.Millisecond)
			m.client.PollFetches(turn).EachRecord(func(r *kgo.Record) {
				read.Took(fmt.Sprint(s.Alias(play.Place{r.Topic, r.Partition}), "@", r.Offset, "=", string(r.Value)))
			})
			over()
			// What was read is committed before the partition may go to somebody else.
			_ = m.client.CommitUncommittedOffsets(s.ctx)
			m.client.AllowRebalance()
		}
	}()
	return m
}

func (m *member) leave() {
	m.stop()
	<-m.done
	m.client.CloseAllowingRebalance()
}

func (m *member) has() []play.Place {
	m.lock.Lock()
	defer m.lock.Unlock()
	var all []play.Place
	for at := range m.assigned {
		all = append(all, at)
	}
	return all
}

func rangeRebalance(s *stage)       { twoMembers(s, kgo.RangeBalancer(), true) }
func cooperativeRebalance(s *stage) { twoMembers(s, kgo.CooperativeStickyBalancer(), false) }

// One member, then two, then the other one alone, with records coming all the time; each group in its turn.
func twoMembers(s *stage, balancer kgo.GroupBalancer, sharesAreKnown bool) {
	s.create(groupPartitions, nil)
	for g, group := range s.Groups {
		s.Saw(fmt.Sprint("group ", g+1), twoMembersOf(s, group, balancer, g*3*roundRecords, sharesAreKnown))
	}
}

func twoMembersOf(s *stage, group string, balancer kgo.GroupBalancer, before int, sharesAreKnown bool) map[string]any {
	seen := map[string]any{}
	read := &play.Reads{}
	round := func(number int) {
		s.fill(fmt.Sprint("round-", number), groupPartitions, 5)
		s.Until("all is read", func() bool { n, _ := read.Count(); return n == before+(number+1)*roundRecords })
	}
	first := join(s, group, read, kgo.Balancers(balancer))
	s.Until("the first has all", func() bool { return len(first.has()) == 2*groupPartitions })
	seen["alone"] = s.Aliases(first.has())
	round(0)

	second := join(s, group, read, kgo.Balancers(balancer))
	s.Until("both have half", func() bool {
		return len(first.has()) == groupPartitions && len(second.has()) == groupPartitions
	})
	if sharesAreKnown {
		shares := [][]string{s.Aliases(first.has()), s.Aliases(second.has())}
		slices.SortFunc(shares, func(a, b []string) int { return slices.Compare(a, b) })
		seen["two"] = shares
	} else {
		seen["two"] = s.Aliases(append(first.has(), second.has()...))
	}
	round(1)

	first.leave()
	s.Until("the second has all", func() bool { return len(second.has()) == 2*groupPartitions })
	seen["the other alone"] = s.Aliases(second.has())
	round(2)
	second.leave()
	seen["committed"] = committed(s, group)
	seen["records read"], seen["read more than once"] = read.Count()
	return seen
}

// Static members keep their partitions over a restart that is short enough.
func staticMembers(s *stage) {
	s.create(groupPartitions, nil)
	for g, group := range s.Groups {
		seen := map[string]any{}
		read := &play.Reads{}
		as := func(instance string) *member {
			return join(s, group, read, kgo.Balancers(kgo.RangeBalancer()), kgo.InstanceID(instance),
				kgo.SessionTimeout(30*time.Second))
		}
		one, two := as("one"), as("two")
		s.Until("both have half", func() bool { return len(one.has()) == 4 && len(two.has()) == 4 })
		seen["one"], seen["two"] = s.Aliases(one.has()), s.Aliases(two.has())
		two.leave()
		again := as("two")
		s.Until("two is back", func() bool { return len(again.has()) == 4 })
		seen["two, again"] = s.Aliases(again.has())
		described, err := s.admin.DescribeGroups(s.ctx, group)
		play.Must(err)
		instances := []string{}
		for _, m := range described[group].Members {
			// Brokers before Kafka 2.4 do not tell it.
			if m.InstanceID != nil {
				instances = append(instances, *m.InstanceID)
			}
		}
		sort.Strings(instances)
		seen["instances"] = instances
		again.leave()
		one.leave()
		s.Saw(fmt.Sprint("group ", g+1), seen)
	}
}

func groupsAdmin(s *stage) {
	s.create(2, nil)
	s.fill("v", 2, 2)
	brokers, err := s.admin.ListBrokers(s.ctx)
	play.Must(err)
	var coordinators []any
	for g, group := range s.Groups {
		seen := map[string]any{}
		read := &play.Reads{}
		m := join(s, group, read, kgo.Balancers(kgo.RangeBalancer()))
		s.Until("it has read all", func() bool { n, _ := read.Count(); return n == 8 })
		seen["listed"] = listed(s, group)
		seen["described"] = described(s, group)
		seen["delete with a member"] = deleteGroup(s, group)
		m.leave()
		s.Until("empty", func() bool { return described(s, group)["state"] == "Empty" })
		seen["listed, empty"] = listed(s, group)
		seen["described, empty"] = described(s, group)
		all, err := s.admin.DescribeGroups(s.ctx, group)
		play.Must(err)
		coordinator := all[group].Coordinator
		seen["coordinator is a node"] = slices.Contains(brokers.NodeIDs(), coordinator.NodeID)
		coordinators = append(coordinators, map[string]any{"id": coordinator.NodeID, "host": coordinator.Host, "port": coordinator.Port})
		seen["delete"] = deleteGroup(s, group)
		seen["listed, deleted"] = listed(s, group)
		seen["delete again"] = deleteGroup(s, group)
		s.Saw(fmt.Sprint("group ", g+1), seen)
	}
	s.Told("coordinators", coordinators)
	none := s.Groups[0] + "-none"
	s.Saw("describe unknown", described(s, none))
	s.Saw("delete unknown", deleteGroup(s, none))
	s.Saw("offsets of unknown", len(committed(s, none)))
}

func listed(s *stage, group string) string {
	all, err := s.admin.ListGroups(s.ctx)
	play.Must(err)
	if one, ok := all[group]; ok {
		return one.State + ", " + one.ProtocolType
	}
	return "not there"
}

func described(s *stage, group string) map[string]any {
	all, err := s.admin.DescribeGroups(s.ctx, group)
	play.Must(err)
	one := all[group]
	members := []string{}
	for _, m := range one.Members {
		assigned, _ := m.Assigned.AsConsumer()
		var has []play.Place
		for _, topic := range assigned.Topics {
			for _, partition := range topic.Partitions {
				has = append(has, play.Place{topic.Topic, partition})
			}
		}
		members = append(members, fmt.Sprint(m.ClientID, " has ", s.Aliases(has)))
	}
	return map[string]any{"state": one.State, "protocol": one.ProtocolType + "/" + one.Protocol, "members": members,
		"error": nameOf(one.Err)}
}

func deleteGroup(s *stage, group string) string {
	answer, err := s.admin.DeleteGroup(s.ctx, group)
	if err == nil {
		err = answer.Err
	}
	return nameOf(err)
}
