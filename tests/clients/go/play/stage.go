package play

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Stage is what one scenario is given: where Kafka is, its own topics and groups, and the place for what it saw.
type Stage struct {
	Name      string
	Bootstrap string
	Topics    []string // through a proxy they live on two clusters
	Groups    []string // likewise
	Log       io.Writer

	cutFile string
	lock    sync.Mutex
	result  map[string]any
	raw     map[string]any
}

// Place is one partition of a topic.
type Place struct {
	Topic     string
	Partition int32
}

func newStage(name string, given map[string]string, log io.Writer) *Stage {
	s := &Stage{Name: name, Bootstrap: given["bootstrap"], Log: log, cutFile: given["cut"], result: map[string]any{}, raw: map[string]any{}}
	for _, topic := range strings.Split(given["topics"], ",") {
		s.Topics = append(s.Topics, topic+"."+name)
	}
	for _, group := range strings.Split(given["groups"], ",") {
		s.Groups = append(s.Groups, group+"."+name)
	}
	return s
}

// Saw notes what an application saw.
func (s *Stage) Saw(what string, value any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.result[what] = value
}

// Told notes addresses and ids.
func (s *Stage) Told(what string, value any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.raw[what] = value
}

func (s *Stage) seen() map[string]any {
	s.lock.Lock()
	defer s.lock.Unlock()
	return maps.Clone(s.result)
}

func (s *Stage) told() map[string]any {
	s.lock.Lock()
	defer s.lock.Unlock()
	return maps.Clone(s.raw)
}

// Places are the first partitions of both topics.
func (s *Stage) Places(partitions int32) []Place {
	var all []Place
	for _, topic := range s.Topics {
		for p := range partitions {
			all = append(all, Place{topic, p})
		}
	}
	return all
}

// Alias is `one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run.
func (s *Stage) Alias(at Place) string {
	return fmt.Sprintf("%s/%d", s.TopicAlias(at.Topic), at.Partition)
}

// TopicAlias is `one` for the first topic.
func (s *Stage) TopicAlias(topic string) string {
	if i := slices.Index(s.Topics, topic); i >= 0 {
		return []string{"one", "two"}[i]
	}
	return topic
}

// Aliases are in order.
func (s *Stage) Aliases(all []Place) []string {
	named := []string{}
	for _, at := range all {
		named = append(named, s.Alias(at))
	}
	sort.Strings(named)
	return named
}

// Until waits until something is so.
func (s *Stage) Until(what string, so func() bool) {
	for end := time.Now().Add(Soon); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if so() {
			return
		}
	}
	panic("not within " + Soon.String() + ": " + what)
}

// HaveItCut asks for all connections to be cut: the trial cuts when it sees the file, and takes it away when it has.
func (s *Stage) HaveItCut() {
	if s.cutFile == "" {
		return
	}
	Must(os.WriteFile(s.cutFile, nil, 0o644))
	for _, err := os.Stat(s.cutFile); err == nil; _, err = os.Stat(s.cutFile) {
		time.Sleep(10 * time.Millisecond)
	}
}

// Must gives the scenario up where there is an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Reads counts what all members of a group read: how often each record.
type Reads struct {
	lock sync.Mutex
	all  map[string]int
}

// Took notes a record that somebody read.
func (r *Reads) Took(record string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.all == nil {
		r.all = map[string]int{}
	}
	r.all[record]++
}

// Count is how many records were read, and how many of them more than once.
func (r *Reads) Count() (records, repeated int) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, n := range r.all {
		if n > 1 {
			repeated++
		}
	}
	return len(r.all), repeated
}

// Names are all that was read, in order.
func (r *Reads) Names() []string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return slices.Sorted(maps.Keys(r.all))
}
