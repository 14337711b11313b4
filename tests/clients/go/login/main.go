// Logs in with franz-go and writes records: login BOOTSTRAP MECHANISM USER PASSWORD TOPIC SECONDS; see ../../python/login.py.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func main() {
	servers, mechanism, user, password, topic := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	seconds, err := strconv.ParseFloat(os.Args[6], 64)
	if err == nil {
		err = write(servers, how(mechanism, user, password), topic, time.Duration(seconds*float64(time.Second)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func how(mechanism, user, password string) sasl.Mechanism {
	switch mechanism {
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	default:
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	}
}

func write(servers string, how sasl.Mechanism, topic string, during time.Duration) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(servers, ",")...), kgo.SASL(how), kgo.RecordDeliveryTimeout(8*time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	// A login that fails is tried again for as long as records may wait: ask at once.
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return err
	}
	end, done := time.Now().Add(during), 0
	for done == 0 || time.Now().Before(end) {
		if err := client.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
			return err
		}
		done++
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println(done)
	return nil
}
