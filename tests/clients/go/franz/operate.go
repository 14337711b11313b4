package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"fishplate/tests/clients/go/play"
)

// What an operator does with kadm: each change, what it answers, and what is there afterwards.

const nobody = 987_654

func operate(s *stage) {
	s.create(3, nil)
	s.fill("v", 3, 5)
	for _, topic := range s.Topics {
		o := operated{s, topic, map[string]any{}}
		// Told as far as it came where it gives up.
		s.Saw(s.TopicAlias(topic), o.seen)
		o.partitions()
		o.configs()
		o.records()
		o.replicas()
		o.acls()
		o.quotas()
		o.users()
		o.producers()
	}
	for home, group := range s.Groups {
		s.Saw(fmt.Sprint("group ", home+1), operateGroup(s, group))
		s.Saw(fmt.Sprint("open transaction of ", home+1), openTransaction(s, home))
	}
	brokersAndDirectories(s)
}

// A topic, and what was seen of it. Brokers hear of a change one after another, and any may be asked: what is told is
// what the first one tells that has heard.
type operated struct {
	*stage
	topic string
	seen  map[string]any
}

// The first of errors, by its name: of the call, or of what it answered.
func answered(errs ...error) string {
	for _, err := range errs {
		if err != nil {
			return nameOf(err)
		}
	}
	return "none"
}

func (o operated) at(partitions ...int32) kadm.TopicsSet {
	var set kadm.TopicsSet
	set.Add(o.topic, partitions...)
	return set
}

func (o operated) partitions() {
	grow := func(topic string, to int, call func(context.Context, int, ...string) (kadm.CreatePartitionsResponses, error)) string {
		all, err := call(o.ctx, to, topic)
		return answered(err, all[topic].Err)
	}
	o.seen["grow, as many"] = grow(o.topic, 3, o.admin.UpdatePartitions)
	o.seen["grow, fewer"] = grow(o.topic, 1, o.admin.UpdatePartitions)
	o.seen["grow, no such topic"] = grow(o.topic+".x", 2, o.admin.UpdatePartitions)
	o.seen["grow, validate"] = grow(o.topic, 4, o.admin.ValidateUpdatePartitions)
	o.seen["partitions before"] = len(detail(o.stage, o.topic).Partitions)
	o.seen["grow by one"] = grow(o.topic, 1, o.admin.CreatePartitions)
	o.Until("the topic has grown", func() bool { return len(detail(o.stage, o.topic).Partitions) == 4 })
}

func (o operated) configs() {
	type alters = func(context.Context, []kadm.AlterConfig, ...string) (kadm.AlterConfigsResponses, error)
	alter := func(call alters, topic string, changes ...kadm.AlterConfig) string {
		all, err := call(o.ctx, changes, topic)
		for _, one := range all {
			err = first(err, one.Err)
		}
		return nameOf(err)
	}
	set := func(name, value string) kadm.AlterConfig {
		return kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value}
	}
	change := func(op kadm.IncrementalOp, name, value string) kadm.AlterConfig {
		return kadm.AlterConfig{Op: op, Name: name, Value: &value}
	}
	more, all := o.admin.AlterTopicConfigs, o.admin.AlterTopicConfigsState
	o.seen["config, set"] = alter(more, o.topic, set("max.message.bytes", "123456"), set("retention.ms", "-1"))
	o.seen["config, append"] = alter(more, o.topic, change(kadm.AppendConfig, "cleanup.policy", "compact"))
	o.told("config, told", "cleanup.policy=delete,compact max.message.bytes=123456 retention.ms=-1")
	o.seen["config, subtract"] = alter(more, o.topic, change(kadm.SubtractConfig, "cleanup.policy", "delete"),
		kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"})
	o.told("config, told of less", "cleanup.policy=compact max.message.bytes=123456")
	o.seen["config, validate"] = alter(o.admin.ValidateAlterTopicConfigs, o.topic, set("retention.ms", "7"))
	o.seen["config, wrong value"] = alter(more, o.topic, set("retention.ms", "soon"))
	o.seen["config, unknown"] = alter(more, o.topic, set("no.such.config", "1"))
	o.seen["config, no such topic"] = alter(more, o.topic+".x", set("retention.ms", "7"))
	o.seen["config, all anew"] = alter(all, o.topic, set("max.message.bytes", "234567"))
	o.told("config, told of all anew", "max.message.bytes=234567")
	o.seen["config, no such topic anew"] = alter(all, o.topic+".x", set("retention.ms", "7"))
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// The topic's own configs, once they are these.
func (o operated) told(what, wanted string) {
	o.Until("a broker tells "+wanted, func() bool {
		all, err := o.admin.DescribeTopicConfigs(o.ctx, o.topic)
		play.Must(err)
		one, err := all.On(o.topic, nil)
		play.Must(err)
		var own []string
		for _, config := range one.Configs {
			if config.Source == kmsg.ConfigSourceDynamicTopicConfig {
				own = append(own, config.Key+"="+*config.Value)
			}
		}
		slices.Sort(own)
		o.seen[what] = strings.Join(own, " ")
		return o.seen[what] == wanted
	})
}

func (o operated) records() {
	drop := func(partition int32, before int64) string {
		var to kadm.Offsets
		to.AddOffset(o.topic, partition, before, -1)
		all, err := o.admin.DeleteRecords(o.ctx, to)
		one, _ := all.Lookup(o.topic, partition)
		return fmt.Sprint(answered(err, one.Err), " from ", one.LowWatermark)
	}
	offset := func(all kadm.ListedOffsets, err error) string {
		one, _ := all.Lookup(o.topic, 0)
		return fmt.Sprint(one.Offset, " ", answered(err, one.Err))
	}
	// Any broker tells of a topic's config; its leader, which may not have heard yet that it is no more compacted, refuses.
	o.Until("the leader may delete records", func() bool {
		o.seen["delete records"] = drop(0, 3)
		return !strings.HasPrefix(fmt.Sprint(o.seen["delete records"]), "POLICY_VIOLATION")
	})
	o.seen["earliest"] = offset(o.admin.ListStartOffsets(o.ctx, o.topic))
	o.seen["earliest in the log"] = offset(o.admin.ListLocalLogStartOffsets(o.ctx, o.topic))
	o.seen["latest"] = offset(o.admin.ListEndOffsets(o.ctx, o.topic))
	o.seen["latest committed"] = offset(o.admin.ListCommittedOffsets(o.ctx, o.topic))
	o.seen["after the beginning of time"] = offset(o.admin.ListOffsetsAfterMilli(o.ctx, 0, o.topic))
	o.seen["delete records, beyond the end"] = drop(0, 99)
	o.seen["delete records, no such partition"] = drop(99, 1)
	o.seen["delete all records"] = drop(0, -1)
	ends := kadm.OffsetForLeaderEpochRequest{}
	ends.Add(o.topic, 1, 0)
	epochs, err := o.admin.OffsetForLeaderEpoch(o.ctx, ends)
	end := epochs[o.topic][1]
	o.seen["the end of the first epoch"] = fmt.Sprint(answered(err, end.Err), " at ", end.EndOffset, " in ", end.LeaderEpoch)
}

func (o operated) replicas() {
	elect := func(how kadm.ElectLeadersHow, partition int32) string {
		all, err := o.admin.ElectLeaders(o.ctx, how, o.at(partition))
		return answered(err, all[o.topic][partition].Err)
	}
	o.seen["elect, preferred"] = elect(kadm.ElectPreferredReplica, 0)
	o.seen["elect, unclean"] = elect(kadm.ElectLiveReplica, 0)
	o.seen["elect, no such partition"] = elect(kadm.ElectPreferredReplica, 99)
	move := func(partition int32, to []int32) string {
		var wanted kadm.AlterPartitionAssignmentsReq
		if to == nil {
			wanted.CancelAssign(o.topic, partition)
		} else {
			wanted.Assign(o.topic, partition, to)
		}
		all, err := o.admin.AlterPartitionAssignments(o.ctx, wanted)
		return answered(err, all[o.topic][partition].Err)
	}
	o.seen["reassign, cancel"] = move(0, nil)
	o.seen["reassign, unknown broker"] = move(0, []int32{nobody})
	// To where another partition is: a broker of the same cluster.
	target := detail(o.stage, o.topic).Partitions[1].Replicas
	o.seen["reassign, no such partition"] = move(99, target)
	o.seen["reassign"] = move(0, target)
	o.Until("it has moved", func() bool { return slices.Equal(detail(o.stage, o.topic).Partitions[0].Replicas, target) })
	o.Until("nothing moves", func() bool {
		all, err := o.admin.ListPartitionReassignments(o.ctx, o.at(0))
		return err == nil && len(all[o.topic]) == 0
	})
}

func (o operated) acls() {
	user := "User:" + o.topic
	build := func(pattern kadm.ACLPattern, operations ...kadm.ACLOperation) *kadm.ACLBuilder {
		return kadm.NewACLs().Deny(user).DenyHosts("*").ResourcePatternType(pattern).Operations(operations...)
	}
	for _, wanted := range []*kadm.ACLBuilder{
		build(kadm.ACLPatternLiteral, kadm.OpDescribe).Topics(o.topic).Groups(o.topic).TransactionalIDs(o.topic).Clusters(),
		build(kadm.ACLPatternPrefixed, kadm.OpDescribe).Topics(o.topic),
	} {
		made, err := o.admin.CreateACLs(o.ctx, wanted)
		for _, one := range made {
			err = first(err, one.Err)
		}
		o.seen[fmt.Sprint("acls, create ", len(made))] = nameOf(err)
	}
	all := func() *kadm.ACLBuilder { return build(kadm.ACLPatternAny, kadm.OpAny).AnyResource() }
	o.aclsTold("acls", all(), 5)
	o.aclsTold("acls of the topic", build(kadm.ACLPatternMatch, kadm.OpAny).Topics(o.topic), 2)
	remove := func() any {
		deleted, err := o.admin.DeleteACLs(o.ctx, all())
		var shown []string
		for _, filter := range deleted {
			err = first(err, filter.Err)
			for _, one := range filter.Deleted {
				shown = append(shown, o.acl(one.Principal, one.Type, one.Name, one.Pattern)+" "+nameOf(one.Err))
			}
		}
		slices.Sort(shown)
		return fmt.Sprint(nameOf(err), " ", shown)
	}
	o.seen["acls, delete"] = remove()
	o.Until("brokers have forgotten them", func() bool {
		found, err := o.admin.DescribeACLs(o.ctx, all())
		return err == nil && len(found[0].Described) == 0
	})
	o.seen["acls, delete again"] = remove()
}

func (o operated) acl(principal string, kind kmsg.ACLResourceType, name string, pattern kadm.ACLPattern) string {
	text := fmt.Sprint(principal, " ", kind, " ", name, " ", pattern)
	return strings.ReplaceAll(text, o.topic, o.TopicAlias(o.topic))
}

func (o operated) aclsTold(what string, filter *kadm.ACLBuilder, count int) {
	o.Until("a broker tells "+what, func() bool {
		found, err := o.admin.DescribeACLs(o.ctx, filter)
		play.Must(err)
		var shown []string
		for _, told := range found {
			play.Must(told.Err)
			for _, one := range told.Described {
				shown = append(shown, o.acl(one.Principal, one.Type, one.Name, one.Pattern))
			}
		}
		slices.Sort(shown)
		o.seen[what] = shown
		return len(shown) == count
	})
}

func (o operated) quotas() {
	entity := kadm.ClientQuotaEntity{{Type: "client-id", Name: &o.topic}}
	alter := func(call func(context.Context, []kadm.AlterClientQuotaEntry) (kadm.AlteredClientQuotas, error), op kadm.AlterClientQuotaOp) string {
		all, err := call(o.ctx, []kadm.AlterClientQuotaEntry{{Entity: entity, Ops: []kadm.AlterClientQuotaOp{op}}})
		for _, one := range all {
			err = first(err, one.Err)
		}
		return nameOf(err)
	}
	described := func(strict bool) string {
		all, err := o.admin.DescribeClientQuotas(o.ctx, strict, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchName: &o.topic}})
		play.Must(err)
		var shown []string
		for _, one := range all {
			for _, value := range one.Values {
				shown = append(shown, fmt.Sprintf("%d of an entity: %s=%.0f", len(one.Entity), value.Key, value.Value))
			}
		}
		return strings.Join(shown, ", ")
	}
	rate := kadm.AlterClientQuotaOp{Key: "consumer_byte_rate", Value: 1e9}
	o.seen["quota, validate"] = alter(o.admin.ValidateAlterClientQuotas, rate)
	o.seen["quota, told before"] = described(true)
	o.seen["quota, set"] = alter(o.admin.AlterClientQuotas, rate)
	o.seen["quota, unknown"] = alter(o.admin.AlterClientQuotas, kadm.AlterClientQuotaOp{Key: "no_such_rate", Value: 1})
	for what, strict := range map[string]bool{"quota": true, "quota, not strictly": false} {
		o.Until("a broker tells it", func() bool {
			o.seen[what] = described(strict)
			return o.seen[what] != ""
		})
	}
	o.seen["quota, remove"] = alter(o.admin.AlterClientQuotas, kadm.AlterClientQuotaOp{Key: "consumer_byte_rate", Remove: true})
	o.Until("brokers have forgotten it", func() bool { return described(true) == "" })
}

func (o operated) users() {
	alter := func(remove []kadm.DeleteSCRAM, make []kadm.UpsertSCRAM) string {
		all, err := o.admin.AlterUserSCRAMs(o.ctx, remove, make)
		return answered(err, all[o.topic].Err)
	}
	described := func() string {
		all, err := o.admin.DescribeUserSCRAMs(o.ctx, o.topic)
		play.Must(err)
		return fmt.Sprint(nameOf(all[o.topic].Err), " ", all[o.topic].CredInfos)
	}
	wanted := kadm.UpsertSCRAM{User: o.topic, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "secret"}
	remove := []kadm.DeleteSCRAM{{User: o.topic, Mechanism: kadm.ScramSha512}}
	unknown := described()
	o.seen["user, unknown"] = unknown
	o.seen["user, delete an unknown one"] = alter(remove, nil)
	made := alter(nil, []kadm.UpsertSCRAM{wanted})
	o.seen["user, make"] = made
	if made != "none" {
		return
	}
	o.Until("a broker knows the user", func() bool {
		o.seen["user"] = described()
		return o.seen["user"] != unknown
	})
	o.seen["user, delete"] = alter(remove, nil)
	o.Until("brokers have forgotten the user", func() bool { return described() == unknown })
}

func (o operated) producers() {
	_, err := o.admin.DescribeProducers(o.ctx, o.at(99))
	o.seen["producers, no such partition"] = nameOf(err)
	all, err := o.admin.DescribeProducers(o.ctx, o.at(1))
	described := all[o.topic].Partitions[1]
	var sequences []int32
	for _, one := range described.ActiveProducers.Sorted() {
		sequences = append(sequences, one.LastSequence)
	}
	o.seen["producers, last sequences"] = fmt.Sprint(answered(err, described.Err), " ", sequences)
}

// Offsets committed for a group that nobody is in, its lag, and offsets deleted.
func operateGroup(s *stage, group string) map[string]any {
	seen := map[string]any{}
	var offsets kadm.Offsets
	for _, topic := range s.Topics {
		offsets.AddOffset(topic, 1, 2, -1)
		offsets.AddOffset(topic, 3, 0, -1)
	}
	seen["commit"] = nameOf(s.admin.CommitAllOffsets(s.ctx, group, offsets))
	coordinator := s.admin.FindGroupCoordinators(s.ctx, group)[group]
	brokers, err := s.admin.ListBrokers(s.ctx)
	play.Must(err)
	seen["coordinator is a node"] = nameOf(coordinator.Err) + ", " + fmt.Sprint(slices.Contains(brokers.NodeIDs(), coordinator.NodeID))
	lags, err := s.admin.Lag(s.ctx, group)
	play.Must(err)
	seen["state"] = fmt.Sprint(lags[group].State, " ", answered(lags[group].DescribeErr, lags[group].FetchErr))
	for _, topic := range s.Topics {
		for _, partition := range []int32{1, 3} {
			lag, _ := lags[group].Lag.Lookup(topic, partition)
			seen["lag of "+s.Alias(play.Place{Topic: topic, Partition: partition})] = fmt.Sprint(lag.Lag, " ", nameOf(lag.Err))
		}
	}
	many := s.admin.FetchManyOffsets(s.ctx, group, group+".x")
	seen["offsets of both groups"] = fmt.Sprint(len(many[group].Fetched), " ", len(many[group+".x"].Fetched), " ", nameOf(many.Error()))
	for _, topic := range s.Topics {
		var some kadm.TopicsSet
		some.Add(topic, 1, 0)
		deleted, err := s.admin.DeleteOffsets(s.ctx, group, some)
		seen["delete offsets of "+s.TopicAlias(topic)] = answered(err, deleted[topic][1], deleted[topic][0])
	}
	left, err := s.admin.FetchOffsets(s.ctx, group)
	play.Must(err)
	var kept []play.Place
	left.Each(func(one kadm.OffsetResponse) {
		kept = append(kept, play.Place{Topic: one.Topic, Partition: one.Partition})
	})
	seen["offsets left"] = s.Aliases(kept)
	_, err = s.admin.DeleteOffsets(s.ctx, group+".x", offsets.TopicsSet())
	seen["delete offsets, no such group"] = nameOf(err)
	seen["listed by its state"] = isListed(s, group, "Empty")
	seen["listed by another state"] = isListed(s, group, "Stable")
	seen["delete"] = deleteGroup(s, group)
	return seen
}

func isListed(s *stage, group, state string) bool {
	all, err := s.admin.ListGroups(s.ctx, state)
	play.Must(err)
	_, is := all[group]
	return is
}

// What is told of a transaction while it is open.
func openTransaction(s *stage, home int) map[string]any {
	seen := map[string]any{}
	id, topic := transactionalID(s, home), s.Topics[home]
	client := transactional(s, home)
	defer client.Close()
	play.Must(client.BeginTransaction())
	play.Must(client.ProduceSync(s.ctx, record(play.Place{Topic: topic, Partition: 2}, "open")).FirstErr())
	described, err := s.admin.DescribeTransactions(s.ctx, id, id+".x")
	play.Must(err)
	open := described[id]
	_, writes := open.Topics[topic][2]
	seen["described"] = fmt.Sprint(open.State, ", writes to the partition: ", writes, ", ", open.TimeoutMillis, " ms, ", nameOf(open.Err))
	seen["described, unknown"] = nameOf(described[id+".x"].Err)
	listed := func(all kadm.ListedTransactions, err error) string {
		one, is := all[id]
		return fmt.Sprint(is, " ", one.State, " ", nameOf(err))
	}
	seen["listed by its state"] = listed(s.admin.ListTransactions(s.ctx, nil, []string{"Ongoing"}))
	seen["listed by another state"] = listed(s.admin.ListTransactions(s.ctx, nil, []string{"Empty"}))
	seen["listed by its producer"] = listed(s.admin.ListTransactions(s.ctx, []int64{open.ProducerID}, nil))
	var at kadm.TopicsSet
	at.Add(topic, 2)
	all, err := s.admin.DescribeProducers(s.ctx, at)
	play.Must(err)
	producer := all[topic].Partitions[2].ActiveProducers[open.ProducerID]
	seen["open in the log from"] = producer.CurrentTxnStartOffset
	coordinator := s.admin.FindTxnCoordinators(s.ctx, id)[id]
	seen["coordinator is the one that was found"] = coordinator.NodeID == open.Coordinator
	seen["abort"] = nameOf(client.EndTransaction(s.ctx, kgo.TryAbort))
	return seen
}

// Nothing is changed: the brokers serve other scenarios too.
func brokersAndDirectories(s *stage) {
	about, err := s.admin.BrokerMetadata(s.ctx)
	play.Must(err)
	value := "1"
	change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "log.cleaner.threads", Value: &value}}
	validate := func(brokers ...int32) string {
		all, err := s.admin.ValidateAlterBrokerConfigs(s.ctx, change, brokers...)
		for _, one := range all {
			err = first(err, one.Err)
		}
		return nameOf(err)
	}
	s.Saw("broker configs", map[string]any{"default": validate(), "one": validate(about.Controller)})
	found := map[string]bool{}
	for _, topic := range s.Topics {
		var set kadm.TopicsSet
		set.Add(topic, 0, 1, 2, 3)
		all, err := s.admin.DescribeAllLogDirs(s.ctx, set)
		play.Must(err)
		all.Each(func(directory kadm.DescribedLogDir) {
			play.Must(directory.Err)
			directory.Topics.Each(func(one kadm.DescribedLogDirPartition) {
				found[s.Alias(play.Place{Topic: one.Topic, Partition: one.Partition})] = true
			})
		})
	}
	s.Saw("partitions in directories", found)
	listed := func(kind kadm.ConfigResourceType) int {
		all, err := s.admin.ListConfigResources(s.ctx, kind)
		play.Must(first(err, all.Err))
		count := 0
		for _, one := range all.Resources {
			if slices.Contains(s.Topics, one.Name) {
				count++
			}
		}
		return count
	}
	s.Saw("topics that have configs", listed(kadm.ConfigResourceTopic))
}
