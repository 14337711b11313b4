// The scenarios of Go clients other than franz-go: `PROGRAM SCENARIO... --bootstrap HOST:PORT --topics T1,T2 --groups
// G1,G2 [--log FILE]`. One program for each library, named after it: the scenarios are the same, and go through
// [library].
//
// Each scenario makes topics named after T1 and T2, and prints one line of JSON: what an application saw (`result`, in
// which nothing varies from run to run). The exit code is 1 when a scenario could not be played to its end.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const deadline = 60 * time.Second

var scenes = map[string]func(*stage){
	"codecs":          codecs,
	"headers":         headers,
	"acks":            acks,
	"idempotent":      idempotent,
	"many-partitions": manyPartitions,
	"offsets":         offsetsByTime,
	"reset":           reset,
	"commit":          commit,
	"rebalance":       rebalance,
	"refused":         refused,
}

var libraries = map[string]func(bootstrap, id string, log io.Writer) library{
	"sarama":   newSarama,
	"kafka-go": newKafkaGo,
}

type line struct {
	Scenario  string         `json:"scenario"`
	Result    map[string]any `json:"result,omitempty"`
	Failed    string         `json:"failed,omitempty"`
	UntilThen map[string]any `json:"until_then,omitempty"`
	Raw       map[string]any `json:"raw"`
	Millis    int64          `json:"millis"`
}

func main() {
	names, given := arguments()
	var log io.Writer = io.Discard
	if name, ok := given["log"]; ok {
		file, err := os.Create(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		log = file
	}
	free := make(chan struct{}, 4)
	var running sync.WaitGroup
	var printing sync.Mutex
	good := true
	for _, name := range names {
		free <- struct{}{}
		running.Go(func() {
			one := perform(name, given, log)
			text, err := json.Marshal(one)
			printing.Lock()
			defer printing.Unlock()
			fmt.Println(string(text))
			good = good && err == nil && one.Failed == ""
			<-free
		})
	}
	running.Wait()
	if !good {
		os.Exit(1)
	}
}

func arguments() ([]string, map[string]string) {
	var names []string
	given := map[string]string{}
	for i := 1; i < len(os.Args); i++ {
		if name, is := strings.CutPrefix(os.Args[i], "--"); is && i+1 < len(os.Args) {
			i++
			given[name] = os.Args[i]
		} else {
			names = append(names, os.Args[i])
		}
	}
	return names, given
}

// Plays one scenario. A scenario gives up by panicking; one that hangs is left behind when its time is over.
func perform(name string, given map[string]string, log io.Writer) line {
	started := time.Now()
	open := libraries[filepath.Base(os.Args[0])]
	s := &stage{name: name, result: map[string]any{}}
	s.connect = func() library { return open(given["bootstrap"], "scenario-"+name, log) }
	for _, topic := range strings.Split(given["topics"], ",") {
		s.topics = append(s.topics, topic+"."+name)
	}
	for _, group := range strings.Split(given["groups"], ",") {
		s.groups = append(s.groups, group+"."+name)
	}
	failed := make(chan string, 1)
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n%s\n", name, cause, debug.Stack())
				failed <- fmt.Sprint(cause)
			} else {
				failed <- ""
			}
		}()
		s.client = s.connect()
		defer s.client.close()
		scenes[name](s)
	}()
	one := line{Scenario: name, Raw: map[string]any{}}
	select {
	case one.Failed = <-failed:
	case <-time.After(deadline):
		one.Failed = "not done within " + deadline.String()
	}
	if one.Failed == "" {
		one.Result = s.seen()
	} else {
		one.UntilThen = s.seen()
	}
	one.Millis = time.Since(started).Milliseconds()
	return one
}
