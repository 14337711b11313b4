// The franz-go client's scenarios; package play says how they are run.
package main

import "fishplate/tests/clients/go/play"

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
		"assigned":        with(assigned),
		"shares":          with(shares),
		"sharing":         with(sharing),
		"cut":             with(cut),
		"transactions":    with(transactions),
		"spanning":        with(spanning),
		"silent":          with(silent),
		"passes":          with(passes),
		"operate":         with(operate),
		"look":            with(look),
		"refused":         with(refused),
		"flood":           with(flood),
	})
}
