package main

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fishplate/tests/clients/go/play"
)

const (
	floodLasts   = 15 * time.Second
	floodRecord  = 1024
	floodBatches = 20 << 10
)

// As many records as go into the first topic, which is there already, for as long as all clients flood.
func flood(s *stage) {
	producer := s.connect(kgo.ProducerBatchMaxBytes(floodBatches))
	defer producer.Close()
	var acknowledged, failed atomic.Int64
	var over atomic.Bool
	at := play.Place{Topic: s.Topics[0]}
	value := string(make([]byte, floodRecord))
	for end := time.Now().Add(floodLasts); time.Now().Before(end); {
		// It waits where as many are buffered as may be.
		producer.Produce(s.ctx, record(at, value), func(_ *kgo.Record, err error) {
			switch {
			case err == nil:
				acknowledged.Add(1)
			case !over.Load():
				failed.Add(1)
			}
		})
	}
	over.Store(true)
	s.Saw("acknowledged", acknowledged.Load())
	s.Saw("failed", failed.Load())
}
