package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

// Scenarios about topics and the cluster as admin sees them.

func topicLifeCycle(s *stage) {
	for _, topic := range s.Topics {
		s.Saw(s.TopicAlias(topic), lifeCycle(s, topic))
	}
}

func lifeCycle(s *stage, topic string) map[string]any {
	seen := map[string]any{}
	compact, bytes, soon := "compact", "123456", "soon"
	configs := map[string]*string{"cleanup.policy": &compact, "max.message.bytes": &bytes}
	create := func(name string, partitions int32, replicas int16, configs map[string]*string) (kadm.CreateTopicResponse, string) {
		made, err := s.admin.CreateTopic(s.ctx, partitions, replicas, configs, name)
		if err == nil {
			err = made.Err
		}
		return made, nameOf(err)
	}
	validated, err := s.admin.ValidateCreateTopics(s.ctx, 3, 1, configs, topic)
	play.Must(err)
	seen["validate"] = nameOf(validated[topic].Err)
	seen["describe before"] = describe(s, topic)
	made, name := create(topic, 3, 1, configs)
	seen["create"] = name
	// Brokers before Kafka 2.4 tell nothing of what they have made, and those before 2.8 not its id.
	if policy := made.Configs["cleanup.policy"].Value; policy != nil {
		seen["created"] = fmt.Sprint(made.NumPartitions, " partitions, ", made.ReplicationFactor, " replicas, cleanup.policy ", *policy)
	}
	s.Until("the topic is known", func() bool { return len(detail(s, topic).Partitions) == 3 })
	seen["described"] = describe(s, topic)
	seen["same id"] = detail(s, topic).ID == made.ID
	s.Until("any broker tells its configs", func() bool {
		configs := topicConfigs(s, topic)
		seen["configs"] = configs
		return configs["error"] == "none"
	})
	_, seen["create, existing"] = create(topic, 3, 1, nil)
	_, seen["create, too many replicas"] = create(topic+".x", 1, 20, nil)
	_, seen["create, no partitions"] = create(topic+".x", 0, 1, nil)
	_, seen["create, wrong config"] = create(topic+".x", 1, 1, map[string]*string{"no.such.config": &soon})
	_, seen["create, wrong value"] = create(topic+".x", 1, 1, map[string]*string{"retention.ms": &soon})
	_, seen["create, wrong name"] = create(topic+".x y", 1, 1, nil)
	seen["delete"] = deleteTopic(s, topic)
	s.Until("the topic is gone", func() bool {
		all, err := s.admin.ListTopics(s.ctx)
		return err == nil && !all.Has(topic)
	})
	// Brokers hear of it one after another, and any of them may be asked.
	gone := 0
	s.Until("every broker has heard of it", func() bool {
		if detail(s, topic).Err == nil {
			gone = 0
		} else {
			gone++
		}
		return gone == 10
	})
	seen["describe after"] = describe(s, topic)
	seen["delete again"] = deleteTopic(s, topic)
	// The same name again is another topic.
	again, name := create(topic, 1, 1, nil)
	seen["create again"] = name
	seen["another id"] = again.ID != made.ID
	s.Until("the topic is known again", func() bool { return len(detail(s, topic).Partitions) == 1 })
	seen["delete again made"] = deleteTopic(s, topic)
	return seen
}

func detail(s *stage, topic string) kadm.TopicDetail {
	all, err := s.admin.ListTopics(s.ctx, topic)
	play.Must(err)
	return all[topic]
}

func describe(s *stage, topic string) map[string]any {
	found := detail(s, topic)
	shown := map[string]any{"error": nameOf(found.Err), "internal": found.IsInternal}
	brokers, err := s.admin.ListBrokers(s.ctx)
	play.Must(err)
	for _, p := range found.Partitions.Sorted() {
		shown[fmt.Sprint(p.Partition)] = fmt.Sprintf(
			"leader is a node: %v, in epoch %d, replicas are the leader: %v, in sync: %v, offline: %v, %s",
			slices.Contains(brokers.NodeIDs(), p.Leader), p.LeaderEpoch, slices.Equal(p.Replicas, []int32{p.Leader}),
			slices.Equal(p.ISR, p.Replicas), p.OfflineReplicas, nameOf(p.Err))
	}
	return shown
}

func topicConfigs(s *stage, topic string) map[string]string {
	all, err := s.admin.DescribeTopicConfigs(s.ctx, topic)
	play.Must(err)
	one, err := all.On(topic, nil)
	play.Must(err)
	shown := map[string]string{"error": nameOf(one.Err)}
	wanted := []string{"cleanup.policy", "max.message.bytes", "retention.ms"}
	for _, config := range one.Configs {
		if slices.Contains(wanted, config.Key) {
			shown[config.Key] = fmt.Sprint(*config.Value, " from ", config.Source)
		}
	}
	return shown
}

func deleteTopic(s *stage, topic string) string {
	answer, err := s.admin.DeleteTopic(s.ctx, topic)
	if err == nil {
		err = answer.Err
	}
	return nameOf(err)
}

func unknownTopics(s *stage) {
	there := make([]string, 2)
	for i, topic := range s.Topics {
		there[i] = topic + ".there"
	}
	made, err := s.admin.CreateTopics(s.ctx, 1, 1, nil, there...)
	play.Must(err)
	for _, topic := range made {
		play.Must(topic.Err)
	}
	for i, topic := range s.Topics {
		seen := map[string]any{}
		var both kadm.TopicDetails
		s.Until("the other is known", func() bool {
			both, err = s.admin.ListTopics(s.ctx, topic, there[i])
			return err == nil && both[there[i]].Err == nil
		})
		seen["describe"] = nameOf(both[topic].Err) + ", " + nameOf(both[there[i]].Err)
		ends, err := s.admin.ListEndOffsets(s.ctx, topic)
		end, _ := ends.Lookup(topic, -1) // where kadm puts a topic's own error
		seen["end offsets"] = nameOf(err) + ", " + nameOf(end.Err)
		configs, err := s.admin.DescribeTopicConfigs(s.ctx, topic)
		play.Must(err)
		one, err := configs.On(topic, nil)
		play.Must(err)
		seen["configs"] = nameOf(one.Err)
		seen["delete"] = deleteTopic(s, topic)
		producer := s.connect(kgo.UnknownTopicRetries(1))
		seen["produce"] = nameOf(producer.ProduceSync(s.ctx, record(play.Place{topic, 0}, "v")).FirstErr())
		producer.Close()
		consumer := s.connect(kgo.ConsumeTopics(topic, there[i]))
		short, cancel := context.WithTimeout(s.ctx, 700*time.Millisecond)
		seen["poll"] = consumer.PollFetches(short).NumRecords()
		cancel()
		consumer.Close()
		maker := s.connect(kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(-1))
		seen["produce and make"] = nameOf(maker.ProduceSync(s.ctx, record(play.Place{topic, 0}, "v")).FirstErr())
		maker.Close()
		seen["made with partitions"] = len(detail(s, topic).Partitions)
		s.Saw(s.TopicAlias(topic), seen)
	}
}

func describeCluster(s *stage) {
	s.create(3, nil)
	seen, err := s.admin.Metadata(s.ctx, s.Topics...)
	play.Must(err)
	s.Saw("has an id", seen.Cluster != "")
	s.Saw("the controller is a node", slices.Contains(seen.Brokers.NodeIDs(), seen.Controller))
	ids := slices.Clone(seen.Brokers.NodeIDs())
	slices.Sort(ids)
	s.Saw("ids differ", len(slices.Compact(ids)) == len(seen.Brokers))
	led := true
	leaders := map[string][]int32{}
	for _, topic := range seen.Topics {
		for _, p := range topic.Partitions.Sorted() {
			led = led && slices.Contains(ids, p.Leader)
			leaders[s.TopicAlias(topic.Topic)] = append(leaders[s.TopicAlias(topic.Topic)], p.Leader)
		}
	}
	s.Saw("leaders are nodes", led)
	var nodes []any
	for _, b := range seen.Brokers {
		nodes = append(nodes, map[string]any{"id": b.NodeID, "host": b.Host, "port": b.Port})
	}
	s.Told("cluster_id", seen.Cluster)
	s.Told("nodes", nodes)
	s.Told("leaders", leaders)
	brokers, err := s.admin.DescribeBrokerConfigs(s.ctx, ids...)
	play.Must(err)
	values := map[string]bool{}
	var configs [][]string
	for _, b := range brokers {
		play.Must(b.Err)
		mine := map[string]string{}
		for _, config := range b.Configs {
			if config.Value != nil {
				mine[config.Key] = *config.Value
			}
		}
		values[mine["max.connections"]] = true
		configs = append(configs, []string{mine["node.id"], mine["advertised.listeners"]})
	}
	s.Saw("brokers' max.connections", values)
	s.Told("configs", configs)
}
