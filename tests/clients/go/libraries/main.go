// The scenarios of Go clients other than franz-go, each of which has richer ones of its own. One program for each library,
// named after it: the scenarios are the same, and go through [library]. Package play says how they are run.
package main

import (
	"io"
	"os"
	"path/filepath"

	"fishplate/tests/clients/go/play"
)

var libraries = map[string]func(bootstrap, id string, log io.Writer) library{
	"sarama":   newSarama,
	"kafka-go": newKafkaGo,
}

func main() {
	play.Main(map[string]func(*play.Stage){
		"codecs":          with(codecs),
		"headers":         with(headers),
		"acks":            with(acks),
		"idempotent":      with(idempotent),
		"large":           with(large),
		"many-partitions": with(manyPartitions),
		"offsets":         with(offsetsByTime),
		"reset":           with(reset),
		"seek":            with(seek),
		"commit":          with(commit),
		"rebalance":       with(rangeRebalance),
		"cooperative":     with(cooperativeRebalance),
		"static":          with(staticMembers),
		"groups":          with(groupsAdmin),
		"topics":          with(topicLifeCycle),
		"unknown":         with(unknownTopics),
		"cluster":         with(describeCluster),
		"cut":             with(cut),
		"refused":         with(refused),
	})
}

func with(scene func(*stage)) func(*play.Stage) {
	open := libraries[filepath.Base(os.Args[0])]
	return func(given *play.Stage) {
		client := open(given.Bootstrap, "scenario-"+given.Name, given.Log)
		defer client.close()
		scene(&stage{given, client})
	}
}
