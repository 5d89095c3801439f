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
)

const benchBody = 1000

// benchQueue is a durable queue that takes the messages of the benchmarks.
func benchQueue(b *testing.B) *testServer {
	s := server(b)
	conn, ch, err := s.dial()
	must(b, err)
	defer conn.Close()
	_, err = ch.QueueDeclare("bench", true, false, false, false, nil)
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

// BenchmarkPublish: persistent messages of 1 kB, mandatory, with confirmations.
func BenchmarkPublish(b *testing.B) {
	s := benchQueue(b)
	var sink counter
	c, err := adapter{}.Open(adapters.Config{ConnStr: s.ConnStr(), ConfigPath: config(b, "exchange="+testExchange+"\n")}, &sink)
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
			DeliveryMode: rabbit.Persistent, Timestamp: time.Now(), Body: body})
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
