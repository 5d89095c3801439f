// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
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

// benchQueue takes the messages of the benchmarks. It is in memory, like they are: else the disk is measured.
func benchQueue(b *testing.B) *testServer {
	s := server(b)
	conn, ch, err := s.dial()
	must(b, err)
	defer conn.Close()
	_, err = ch.QueueDeclare("bench", false, false, false, false, nil)
	must(b, err)
	must(b, ch.QueueBind("bench", "bench.x", testExchange, false, nil))
	_, err = ch.QueuePurge("bench", false)
	must(b, err)
	return s
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type counter struct{ n atomic.Int64 }

func (c *counter) Done(r []adapters.Result)  { c.n.Add(int64(len(r))) }
func (c *counter) State(adapters.StateEvent) {}
func (c *counter) Log(adapters.LogEntry)     {}

func report(b *testing.B, spent time.Duration) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(spent.Nanoseconds())/1000/float64(b.N), "cpu-us/message")
}

// BenchmarkPublish: messages of 1 kB, mandatory, with confirmations.
func BenchmarkPublish(b *testing.B) {
	s := benchQueue(b)
	var sink counter
	c, err := adapter{}.Open(adapters.Config{ConnStr: s.ConnStr(), ConfigPath: config(b, "exchange="+testExchange+"\npersistent=false\n")}, &sink)
	must(b, err)
	defer c.Close()
	var batch adapters.Batch
	for i := range 100 {
		batch.Append(uint64(i+1), 0, "bench.x", nil, make([]byte, benchBody))
	}
	adaptertest.Wait(b, "a connection", func() bool { return c.(*conn).parts.State() == adapters.Connected })
	b.ResetTimer()
	before := cpu()
	for sent := 0; sent < b.N; {
		n, err := c.Publish(&batch, max(0, batch.Len()-(b.N-sent)))
		must(b, err)
		if sent += n; n == 0 {
			time.Sleep(time.Millisecond)
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
func BenchmarkLibrary(b *testing.B) {
	s := benchQueue(b)
	conn, ch, err := s.dial()
	must(b, err)
	defer conn.Close()
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
		d, err := ch.PublishWithDeferredConfirm(testExchange, "bench.x", true, false, rabbit.Publishing{ContentType: contentBytes,
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
	var sink counter
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
