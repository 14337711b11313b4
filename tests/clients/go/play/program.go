// Package play is what the Go programs have in common: `PROGRAM SCENARIO... --bootstrap HOST:PORT --topics T1,T2 --groups
// G1,G2 [--parallel N] [--log FILE] [--cut FILE]`.
//
// Each scenario makes topics named after T1 and T2, and prints one line of JSON: what an application saw (`result`, in
// which nothing varies from run to run) and what only a test of addresses wants (`raw`). The exit code is 1 when a
// scenario could not be played to its end; an error that Kafka answers is a result.
package play

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// Deadline is what a scenario has to be played in, and Soon what each of its steps has. Generous: machines are busy.
const (
	Deadline = 100 * time.Second
	Soon     = 40 * time.Second
)

type line struct {
	Scenario  string         `json:"scenario"`
	Result    map[string]any `json:"result,omitempty"`
	Failed    string         `json:"failed,omitempty"`
	UntilThen map[string]any `json:"until_then,omitempty"`
	Raw       map[string]any `json:"raw"`
	Millis    int64          `json:"millis"`
}

// Main plays the scenarios that the command line names.
func Main(scenes map[string]func(*Stage)) {
	names, given := arguments()
	parallel := 4
	if text, ok := given["parallel"]; ok {
		fmt.Sscan(text, &parallel)
	}
	var log io.Writer = io.Discard
	if name, ok := given["log"]; ok {
		file, err := os.Create(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		log = file
	}
	free := make(chan struct{}, parallel)
	var running sync.WaitGroup
	var printing sync.Mutex
	good := true
	for _, name := range names {
		free <- struct{}{}
		running.Go(func() {
			one := perform(newStage(name, given, log), scenes[name])
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
func perform(s *Stage, scene func(*Stage)) line {
	started := time.Now()
	failed := make(chan string, 1)
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n%s\n", s.Name, cause, debug.Stack())
				failed <- fmt.Sprint(cause)
			} else {
				failed <- ""
			}
		}()
		if scene == nil {
			panic("no such scenario")
		}
		scene(s)
	}()
	one := line{Scenario: s.Name}
	select {
	case one.Failed = <-failed:
	case <-time.After(Deadline):
		one.Failed = "not done within " + Deadline.String()
	}
	if one.Failed == "" {
		one.Result = s.seen()
	} else {
		one.UntilThen = s.seen()
	}
	one.Raw = s.told()
	one.Millis = time.Since(started).Milliseconds()
	return one
}
