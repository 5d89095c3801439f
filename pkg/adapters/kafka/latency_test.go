// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// doneSink tells of each report, and keeps nothing.
type doneSink struct {
	adapters.Sink
	done chan int
}

func (s doneSink) Done(r []adapters.Result) { s.done <- len(r) }

// BenchmarkLatency is the time from Publish to the acknowledgement of single messages, as the linger is: one at a
// time, and one each 200 µs, which are more than one at a time.
func BenchmarkLatency(b *testing.B) {
	addr := benchServer(b)
	for _, linger := range []string{"0", "0.1", "0.5", "1", "5"} {
		config := writeFile(b, "latency.cfg", "[message-broker]\nproto-cfg = \"linger.ms="+linger+"\"\n")
		topic := fmt.Sprintf("latency-%d", time.Now().UnixNano())
		for _, each := range []time.Duration{0, 200 * time.Microsecond} {
			name := "alone"
			if each > 0 {
				name = "each-200µs"
			}
			b.Run("linger-"+linger+"/"+name, func(b *testing.B) {
				sink := doneSink{adaptertest.NewRecorder(), make(chan int, 100_000)}
				c := openConn(b, strings.Replace(addr, ":", ";", 1), config, sink)
				if n, err := c.Publish(batchOf(1, topic, 1, 100), 0); n != 1 || err != nil {
					b.Fatal(n, err)
				}
				<-sink.done
				var sent, took []time.Duration
				began, cpu := time.Now(), cpuTime()
				seq := uint64(2)
				for b.Loop() {
					if each > 0 { // the time of the machine's own sleep is too long
						for due := began.Add(time.Duration(len(sent)) * each); time.Now().Before(due); {
							select {
							case n := <-sink.done:
								for range n {
									took = append(took, time.Since(began)-sent[len(took)])
								}
							default:
							}
						}
					}
					sent = append(sent, time.Since(began))
					if n, err := c.Publish(batchOf(seq, topic, 1, 100), 0); n != 1 || err != nil {
						b.Fatal(n, err)
					}
					seq++
					if each == 0 {
						<-sink.done
						took = append(took, time.Since(began)-sent[len(took)])
					}
				}
				for len(took) < len(sent) {
					for range <-sink.done {
						took = append(took, time.Since(began)-sent[len(took)])
					}
				}
				used := cpuTime() - cpu
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(float64(used.Microseconds())/float64(len(took)), "cpu-µs/message")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
