// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

const benchBody = 1000

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

// BenchmarkPublish: messages of 1 kB into a stream on disk, acknowledged, with ids against duplicates.
func BenchmarkPublish(b *testing.B) {
	s := server(b).withStream(b, "bench", "bench")
	var sink counter
	c, err := adapter{}.Open(adapters.Config{ConnStr: s.ConnStr()}, &sink)
	must(b, err)
	defer c.Close()
	var batch adapters.Batch
	for i := range b.N {
		batch.AddText("bench", adapters.Message{Seq: uint64(i + 1), Payload: make([]byte, benchBody)})
	}
	adaptertest.Wait(b, "a connection", func() bool { return c.(*conn).Parts.State() == adapters.Connected })
	b.ResetTimer()
	before := cpu()
	for sent := 0; sent < b.N; {
		n, err := c.Publish(&batch, sent)
		must(b, err)
		if sent += n; n == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	must(b, c.Flush(b.Context()))
	b.StopTimer()
	report(b, cpu()-before)
	if n := sink.n.Load(); n != int64(b.N) {
		b.Fatalf("%d of %d acknowledged", n, b.N)
	}
}

// BenchmarkLibrary is the same with the library's asynchronous publishing.
func BenchmarkLibrary(b *testing.B) {
	s := server(b).withStream(b, "bench", "bench")
	k, err := client.Connect("nats://" + s.Addr)
	must(b, err)
	defer k.Close()
	js, err := jetstream.New(k, jetstream.WithPublishAsyncMaxPending(maxInFlight))
	must(b, err)
	body := make([]byte, benchBody)
	ids := client.NewInbox()
	b.ResetTimer()
	before := cpu()
	for i := range b.N {
		_, err := js.PublishAsync("bench", body, jetstream.WithMsgID(ids+strconv.Itoa(i)), jetstream.WithStallWait(10*time.Second))
		must(b, err)
	}
	<-js.PublishAsyncComplete()
	b.StopTimer()
	report(b, cpu()-before)
}

// An acker is a Receiver that hands messages to a goroutine, which acknowledges them.
type acker chan []adapters.Incoming

func (a acker) Receive(m []adapters.Incoming)    { a <- m }
func (a acker) Subscribed(topic string, e error) {}

// fill makes a stream with as many messages as are to come.
func fill(b *testing.B) *testServer {
	s := server(b).withStream(b, "bench", "bench")
	k, js := s.dial(b)
	defer k.Close()
	for range b.N {
		_, err := js.PublishAsync("bench", make([]byte, benchBody), jetstream.WithStallWait(10*time.Second))
		must(b, err)
	}
	<-js.PublishAsyncComplete()
	return s
}

// BenchmarkReceive: messages of 1 kB of a stream on disk, each acknowledged.
func BenchmarkReceive(b *testing.B) {
	s := fill(b)
	var sink counter
	c, err := adapter{}.Open(adapters.Config{ConnStr: s.ConnStr(), ReceiveOnly: true}, &sink)
	must(b, err)
	defer c.Close()
	a := make(acker, adapters.DefaultWindow)
	b.ResetTimer()
	before := cpu()
	must(b, c.(*conn).Subscribe(adapters.SubscribeConfig{Topics: []string{"bench"}, Group: "bench", FromStart: true}, a))
	for n := 0; n < b.N; {
		m := <-a
		n += len(m)
		c.(*conn).Ack(m)
	}
	b.StopTimer()
	report(b, cpu()-before)
}

// BenchmarkLibraryReceive is the same with the library's Consume.
func BenchmarkLibraryReceive(b *testing.B) {
	s := fill(b)
	k, js := s.dial(b)
	defer k.Close()
	consumer, err := js.CreateConsumer(b.Context(), "bench", jetstream.ConsumerConfig{Durable: "bench", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: adapters.DefaultWindow})
	must(b, err)
	came := make(chan jetstream.Msg, adapters.DefaultWindow)
	b.ResetTimer()
	before := cpu()
	cc, err := consumer.Consume(func(m jetstream.Msg) { came <- m }, jetstream.PullMaxMessages(adapters.DefaultWindow))
	must(b, err)
	defer cc.Stop()
	for range b.N {
		_ = (<-came).Ack()
	}
	b.StopTimer()
	report(b, cpu()-before)
}
