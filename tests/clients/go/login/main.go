// Logs in with franz-go and writes records: login BOOTSTRAP MECHANISM USER PASSWORD TOPICS SECONDS; see ../../python/login.py.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func main() {
	servers, mechanism, user, password, topics := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	seconds, err := strconv.ParseFloat(os.Args[6], 64)
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(servers, ",")...)}
	if err == nil && os.Getenv("LOGIN_CA") != "" {
		var config *tls.Config
		config, err = overTLS()
		options = append(options, kgo.DialTLSConfig(config))
	}
	if mechanism != "NONE" {
		options = append(options, kgo.SASL(how(mechanism, user, password)))
	}
	if err == nil {
		err = play(options, strings.Split(topics, ","), time.Duration(seconds*float64(time.Second)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func overTLS() (*tls.Config, error) {
	pem, err := os.ReadFile(os.Getenv("LOGIN_CA"))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if file := os.Getenv("LOGIN_PEM"); file != "" {
		own, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

func how(mechanism, user, password string) sasl.Mechanism {
	switch mechanism {
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	case "OAUTHBEARER":
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, err := os.ReadFile(password)
			return oauth.Auth{Token: strings.TrimSpace(string(token))}, err
		})
	default:
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	}
}

func play(options []kgo.Opt, topics []string, during time.Duration) error {
	sent := int64(-1)
	read := make(chan error, 1)
	if group := os.Getenv("LOGIN_GROUP"); group != "" {
		reader, err := kgo.NewClient(append(options, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...))...)
		if err != nil {
			return err
		}
		go func() { read <- readAll(reader, &sent) }()
	} else {
		read <- nil
	}
	done, err := write(options, topics, during)
	atomic.StoreInt64(&sent, done)
	if err == nil {
		err = <-read
	}
	fmt.Println(done)
	return err
}

func write(options []kgo.Opt, topics []string, during time.Duration) (int64, error) {
	options = append(options, kgo.RecordDeliveryTimeout(8*time.Second), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := comesIn(options); err != nil {
		return 0, err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	producer := os.Getenv("LOGIN_PRODUCER")
	if producer == "" {
		producer = "1"
	}
	perTick := 1
	if rate, err := strconv.Atoi(os.Getenv("LOGIN_RATE")); err == nil {
		perTick = max(1, rate/100)
	}
	end, tick, number := time.Now().Add(during), time.Now(), 0
	var done atomic.Int64
	var wrong atomic.Value
	for number == 0 || time.Now().Before(end) && wrong.Load() == nil {
		for range perTick {
			value := []byte(producer + "/" + strconv.Itoa(number))
			client.Produce(context.Background(), &kgo.Record{Topic: topics[number%len(topics)], Value: value}, func(_ *kgo.Record, err error) {
				if err == nil {
					done.Add(1)
				} else {
					wrong.CompareAndSwap(nil, fmt.Errorf("produce: %w", err))
				}
			})
			number++
		}
		tick = tick.Add(10 * time.Millisecond)
		time.Sleep(time.Until(tick))
	}
	if err := client.Flush(context.Background()); err != nil {
		return done.Load(), err
	}
	if err, is := wrong.Load().(error); is {
		return done.Load(), err
	}
	return done.Load(), nil
}

// A login that fails is tried again for as long as records may wait: one that tries but once says so at once.
func comesIn(options []kgo.Opt) error {
	client, err := kgo.NewClient(append(options, kgo.RequestRetries(0))...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	return client.Ping(ctx)
}

// Until all that was sent has come, in order and once.
func readAll(client *kgo.Client, sent *int64) error {
	defer client.Close()
	last, count := map[string]int{}, int64(0)
	for count != atomic.LoadInt64(sent) {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		fetches := client.PollFetches(ctx)
		cancel()
		for _, wrong := range fetches.Errors() {
			if !errors.Is(wrong.Err, context.DeadlineExceeded) {
				return fmt.Errorf("fetch: %w", wrong.Err)
			}
		}
		for _, record := range fetches.Records() {
			_, number, _ := strings.Cut(string(record.Value), "/")
			came, err := strconv.Atoi(number)
			if before, is := last[record.Topic]; err != nil || is && came <= before {
				return fmt.Errorf("%s: %d came behind %d (%v)", record.Topic, came, before, err)
			}
			last[record.Topic] = came
			count++
		}
	}
	return nil
}
