// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const consumeHelp = `
usage: edgewire consume [OPTIONS]

Prints the messages of a topic as they arrive, one line each, until it is
interrupted, --count is reached or --idle-timeout is over; then a summary. For
messages of msgbroker it says, by their headers, what of each session is missing,
came twice or came out of order.
A topic that does not exist yet is waited for.`

// lookEvery is how often a topic that is not there yet is looked for.
const lookEvery = 250 * time.Millisecond

type consumeOptions struct {
	brokers, topics list
	fromStart       bool
	count           int
	idle, wait      time.Duration
	raw, json       bool
	out, summary    string
}

func runConsume(ctx context.Context, args []string, s streams) error {
	var o consumeOptions
	fs := newFlags("consume", consumeHelp, s)
	fs.Var(&o.brokers, "brokers", "`HOST:PORT` of a broker; several with commas (default 127.0.0.1:9092)")
	adapter := fs.String("adapter", "kafka", "`KIND` of broker; this version knows kafka")
	fs.Var(&o.topics, "topic", "`NAME` of a topic; may be given several times (default: every topic)")
	fs.BoolVar(&o.fromStart, "from-start", false, "begin with the oldest message, not with the next new one")
	fs.IntVar(&o.count, "count", 0, "stop after this many messages; 0: never")
	fs.DurationVar(&o.idle, "idle-timeout", 0, "stop when nothing has come for this long, such as 5s; 0: never")
	fs.DurationVar(&o.wait, "wait", 10*time.Second, "how long to wait for a broker that does not answer")
	fs.BoolVar(&o.raw, "raw", false, "print each message as it is")
	fs.BoolVar(&o.json, "json", false, "print each message with topic, partition, offset, key, time and headers as a line of JSON")
	fs.StringVar(&o.out, "out", "", "`FILE` that gets those lines of JSON as well")
	fs.StringVar(&o.summary, "summary", "", "`FILE` that gets the summary as JSON")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case *adapter != "kafka":
		return usagef("consume --adapter %q: this version knows kafka", *adapter)
	case o.raw && o.json:
		return usagef("consume --raw and --json exclude each other")
	case o.count < 0 || o.idle < 0 || o.wait <= 0:
		return usagef("consume --count, --idle-timeout and --wait take no negative value")
	}
	if len(o.brokers) == 0 {
		o.brokers = list{"127.0.0.1:9092"}
	}
	for _, b := range o.brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return usagef("consume --brokers %q is not HOST:PORT", b)
		}
	}
	return consume(ctx, o, s)
}

func consume(ctx context.Context, o consumeOptions, s streams) (err error) {
	client, err := connect(ctx, o)
	if err != nil {
		return err
	}
	defer client.Close()

	var file *bufio.Writer
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return fmt.Errorf("cannot write --out: %w", err)
		}
		file = bufio.NewWriter(f)
		defer func() { err = errors.Join(err, file.Flush(), f.Close()) }()
	}
	stdout := bufio.NewWriter(s.out)
	defer func() { err = errors.Join(err, stdout.Flush()) }()

	var sum summary
	p := printer{colour: s.colour}
	for o.count == 0 || sum.Messages < o.count {
		records, err := poll(ctx, client, o)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if o.count > 0 && sum.Messages == o.count {
				break
			}
			d := describe(r.Value)
			sum.add(r, d)
			if err := show(stdout, file, p, o, r, d); err != nil {
				return err
			}
		}
		// A person waits for the line, and a script for the file.
		if err := stdout.Flush(); err != nil {
			return fmt.Errorf("cannot write: %w", err)
		}
		if file != nil {
			if err := file.Flush(); err != nil {
				return fmt.Errorf("cannot write --out %s: %w", o.out, err)
			}
		}
	}
	sum.close()
	if o.raw || o.json {
		sum.write(s.err)
	} else {
		sum.write(stdout)
	}
	if o.summary != "" {
		if err := sum.save(o.summary); err != nil {
			return fmt.Errorf("cannot write --summary: %w", err)
		}
	}
	return nil
}

// poll waits for messages. None and no error: it is time to stop.
func poll(ctx context.Context, client *kgo.Client, o consumeOptions) ([]*kgo.Record, error) {
	wait, cancel := ctx, context.CancelFunc(func() {})
	if o.idle > 0 {
		wait, cancel = context.WithTimeout(ctx, o.idle)
	}
	defer cancel()
	for {
		fetches := client.PollFetches(wait)
		if records := fetches.Records(); len(records) > 0 {
			return records, nil
		}
		if wait.Err() != nil || fetches.IsClientClosed() {
			return nil, nil
		}
		for _, e := range fetches.Errors() {
			if !kerr.IsRetriable(e.Err) && !errors.Is(e.Err, context.DeadlineExceeded) && !errors.Is(e.Err, context.Canceled) {
				return nil, fmt.Errorf("topic %q partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
	}
}

// connect waits for the broker and says where to begin. Without --from-start
// this is the end of each topic that exists now, and the start of one that is
// made later: all that is sent from now on is seen.
func connect(ctx context.Context, o consumeOptions) (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.brokers...),
		kgo.ClientID("edgewire-consume"),
		kgo.DialTimeout(3 * time.Second),
		kgo.MetadataMinAge(lookEvery),
		kgo.MetadataMaxAge(5 * time.Second),
		kgo.FetchMaxWait(500 * time.Millisecond),
	}
	probe, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	meta, err := metadata(ctx, probe, o)
	if err != nil {
		return nil, err
	}

	start := kgo.NewOffset().AtStart()
	switch {
	case len(o.topics) == 0 && o.fromStart:
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics("^[^_].*"), kgo.ConsumeResetOffset(start))
	case len(o.topics) == 0:
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics("^[^_].*"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(time.Now().UnixMilli())))
	case o.fromStart:
		opts = append(opts, kgo.ConsumeTopics(o.topics...), kgo.ConsumeResetOffset(start))
	default:
		existing := map[string]map[int32]kgo.Offset{}
		for _, t := range meta.Topics {
			for _, p := range t.Partitions {
				if existing[*t.Topic] == nil {
					existing[*t.Topic] = map[int32]kgo.Offset{}
				}
				existing[*t.Topic][p.Partition] = kgo.NewOffset().AtEnd()
			}
		}
		for _, t := range o.topics {
			if existing[t] == nil {
				opts = append(opts, kgo.ConsumeTopics(t))
			}
		}
		opts = append(opts, kgo.ConsumePartitions(existing), kgo.ConsumeResetOffset(start))
	}
	return kgo.NewClient(opts...)
}

// metadata asks for the topics until a broker answers or o.wait is over.
func metadata(ctx context.Context, client *kgo.Client, o consumeOptions) (*kmsg.MetadataResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for _, t := range o.topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(t)
		req.Topics = append(req.Topics, topic)
	}
	var last error
	for {
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, errors.New("interrupted before a broker answered")
			}
			return nil, fmt.Errorf("no broker answers at %s: %w; is it running, and is this its address? (edgewire broker runs one)",
				strings.Join(o.brokers, ", "), rootCause(last))
		case <-time.After(lookEvery):
		}
	}
}

// rootCause leaves out what the client wraps around a network error.
func rootCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

func show(w, file *bufio.Writer, p printer, o consumeOptions, r *kgo.Record, d described) error {
	var line []byte
	if o.json || file != nil {
		var err error
		if line, err = encodeRecord(r); err != nil {
			return err
		}
	}
	if file != nil {
		file.Write(line)
		file.WriteByte('\n')
	}
	var err error
	switch {
	case o.json:
		_, err = w.Write(append(line, '\n'))
	case o.raw:
		w.Write(r.Value)
		err = w.WriteByte('\n')
	default:
		_, err = io.WriteString(w, p.line(r.Value, d, r.Timestamp)+p.headers(r.Headers)+"\n")
	}
	if err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	return nil
}
