// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const benchBody = 1000

// A situation is what a benchmark publishes into. Its queue is in memory, as the messages are: else it is the
// disk that is measured.
type situation struct {
	name, exchange string
	args           rabbit.Table
}

// The names are known to tests/bench.
var situations = []situation{
	{"queue", "", rabbit.Table{"x-max-length": benchKept}},           // straight to a queue as short as one that is consumed from
	{"topic", testExchange, rabbit.Table{"x-max-length": benchKept}}, // the same by a topic exchange
	{"backlog", testExchange, nil},                                   // and nobody consumes
}

const benchKept = 1000 // messages

// each runs f for every situation, on the server that EDGEWIRE_RABBITMQ names or on one of its own.
func each(b *testing.B, f func(b *testing.B, address, exchange, queue string)) {
	address := os.Getenv("EDGEWIRE_RABBITMQ")
	if address == "" {
		address = server(b).Addr
	}
	for _, s := range situations {
		b.Run(s.name, func(b *testing.B) {
			conn, err := rabbit.Dial("amqp://guest:guest@" + address + "/")
			must(b, err)
			defer conn.Close()
			ch, err := conn.Channel()
			must(b, err)
			queue := "bench." + s.name
			_, err = ch.QueueDeclare(queue, false, false, false, false, s.args)
			must(b, err)
			if s.exchange != "" {
				must(b, ch.ExchangeDeclare(s.exchange, "topic", true, false, false, false, nil))
				must(b, ch.QueueBind(queue, queue, s.exchange, false, nil))
			}
			_, err = ch.QueuePurge(queue, false)
			must(b, err)
			f(b, address, s.exchange, queue)
			_, err = ch.QueuePurge(queue, false)
			must(b, err)
		})
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A counter counts successes.
type counter struct {
	n    atomic.Int64
	wake chan struct{} // a token when there is room again
}

func (c *counter) Done(results []adapters.Result) {
	for _, r := range results {
		if r.Err == nil {
			c.n.Add(1)
		}
	}
	outbox.Token(c.wake)
}
func (c *counter) State(adapters.StateEvent) { outbox.Token(c.wake) }
func (c *counter) Log(adapters.LogEntry)     {}

func report(b *testing.B, spent time.Duration) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(spent.Nanoseconds())/1000/float64(b.N), "cpu-us/message")
}

// BenchmarkPublish: messages of 1 kB, mandatory, with confirmations.
func BenchmarkPublish(b *testing.B) { each(b, publish) }

func publish(b *testing.B, address, exchange, queue string) {
	sink := counter{wake: make(chan struct{}, 1)}
	c, err := adapter{}.Open(adapters.Config{ConnStr: strings.ReplaceAll(address, ":", ";"),
		ConfigPath: config(b, "exchange="+exchange+"\npersistent=false\n")}, &sink)
	must(b, err)
	defer c.Close()
	var batch adapters.Batch
	for i := range 100 {
		batch.Append(uint64(i+1), 0, queue, nil, make([]byte, benchBody))
	}
	adaptertest.Wait(b, "a connection", func() bool { return c.(*conn).Parts.State() == adapters.Connected })
	b.ResetTimer()
	before := cpu()
	for sent := 0; sent < b.N; {
		n, err := c.Publish(&batch, max(0, batch.Len()-(b.N-sent)))
		must(b, err)
		if sent += n; n == 0 {
			<-sink.wake
		}
	}
	must(b, c.Flush(b.Context()))
	b.StopTimer()
	report(b, cpu()-before)
	if n := sink.n.Load(); n != int64(b.N) {
		b.Fatalf("%d of %d confirmed", n, b.N)
	}
}

// BenchmarkLibrary is the same with the library's own confirmations, as its documentation shows it.
func BenchmarkLibrary(b *testing.B) { each(b, library) }

func library(b *testing.B, address, exchange, queue string) {
	conn, err := rabbit.Dial("amqp://guest:guest@" + address + "/")
	must(b, err)
	defer conn.Close()
	ch, err := conn.Channel()
	must(b, err)
	must(b, ch.Confirm(false))
	body := make([]byte, benchBody)
	under := make(chan *rabbit.DeferredConfirmation, 1000)
	done := make(chan bool)
	b.ResetTimer()
	before := cpu()
	go func() {
		good := true
		for d := range under {
			good = d.Wait() && good
		}
		done <- good
	}()
	for range b.N {
		d, err := ch.PublishWithDeferredConfirm(exchange, queue, true, false, rabbit.Publishing{ContentType: contentBytes,
			DeliveryMode: rabbit.Transient, Timestamp: time.Now(), Body: body})
		must(b, err)
		under <- d
	}
	close(under)
	if !<-done {
		b.Fatal("a message was refused")
	}
	b.StopTimer()
	report(b, cpu()-before)
}

// BenchmarkClient is our part alone: queueing a message, its frames, its confirmation.
func BenchmarkClient(b *testing.B) {
	sink := counter{wake: make(chan struct{}, 1)}
	box := outbox.New(&sink, 0)
	session := box.Rewind(1)
	e := encoder{channel: 1, frame: defaultFrame, exchange: testExchange, mandatory: true, persistent: true, id: 1}
	var batch adapters.Batch
	for i := range 64 {
		batch.AddText("bench.x", adapters.Message{Seq: uint64(i + 1), Session: 1, Number: 1, Payload: make([]byte, benchBody)})
	}
	var out []byte
	var messages []outbox.Message
	var answers outbox.Answers
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += len(messages) {
		box.Put(&batch, 0, batch.Len())
		messages = box.Take(session, 64, messages[:0])
		out = out[:0]
		for i := range messages {
			out = e.append(out, &messages[i])
		}
		box.AnswerTo(session, &answers, messages[len(messages)-1].Tag)
		box.Tell(&answers)
	}
}
