package main

import (
	"slices"

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
	create := func(name string, partitions int32, replicas int16, configs map[string]string) string {
		return s.client.nameOf(s.client.create(name, partitions, replicas, configs))
	}
	seen["create"] = create(topic, 3, 1, map[string]string{"cleanup.policy": "compact", "max.message.bytes": "123456"})
	s.Until("the topic is known", func() bool { return s.knows(topic) })
	s.Until("any broker tells its configs", func() bool {
		configs, err := s.client.configs(topic, []string{"cleanup.policy", "max.message.bytes"})
		seen["configs"] = configs
		return err == nil
	})
	seen["create, existing"] = create(topic, 3, 1, nil)
	seen["create, too many replicas"] = create(topic+".x", 1, 20, nil)
	seen["create, no partitions"] = create(topic+".x", 0, 1, nil)
	seen["create, wrong config"] = create(topic+".x", 1, 1, map[string]string{"no.such.config": "1"})
	seen["create, wrong value"] = create(topic+".x", 1, 1, map[string]string{"retention.ms": "soon"})
	seen["create, wrong name"] = create(topic+".x y", 1, 1, nil)
	seen["grow"] = s.client.nameOf(s.client.grow(topic, 5))
	seen["delete"] = s.client.nameOf(s.client.delete(topic))
	s.Until("the topic is gone", func() bool { return !s.knows(topic) })
	seen["delete again"] = s.client.nameOf(s.client.delete(topic))
	return seen
}

func (s *stage) knows(topic string) bool {
	all, err := s.client.topics()
	return err == nil && slices.Contains(all, topic)
}

// What a library and Kafka make of a topic that is not there.
func unknownTopics(s *stage) {
	for _, topic := range s.Topics {
		at := play.Place{Topic: topic}
		seen := map[string]any{"listed": s.knows(topic)}
		_, err := s.client.configs(topic, []string{"cleanup.policy"})
		seen["configs"] = s.client.nameOf(err)
		seen["delete"] = s.client.nameOf(s.client.delete(topic))
		_, err = s.send(sending{acks: -1}, []record{{at: at, value: []byte("v")}})
		seen["produce"] = s.client.nameOf(err)
		if err == nil {
			seen["made and read"] = offsetsAndValues(s.read(at, earliest, 1, func() {}))
		}
		s.Saw(s.TopicAlias(topic), seen)
	}
}

func describeCluster(s *stage) {
	s.create(3, nil)
	seen, err := s.client.cluster(s.Topics)
	play.Must(err)
	var ids []int32
	for _, one := range seen.nodes {
		ids = append(ids, one.ID)
	}
	slices.Sort(ids)
	s.Saw("the controller is a node", slices.Contains(ids, seen.controller))
	s.Saw("ids differ", len(slices.Compact(slices.Clone(ids))) == len(ids))
	led, leaders := true, map[string][]int32{}
	for topic, of := range seen.leaders {
		leaders[s.TopicAlias(topic)] = of
		for _, leader := range of {
			led = led && slices.Contains(ids, leader)
		}
	}
	s.Saw("leaders are nodes", led)
	s.Saw("partitions", []int{len(leaders["one"]), len(leaders["two"])})
	s.Told("nodes", seen.nodes)
	s.Told("leaders", leaders)
	if seen.id != "" {
		s.Told("cluster_id", seen.id)
	}
}
