// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBroker sends messages of 1 kB through the whole way, beside redis-benchmark's XADD in a pipeline on
// the same server.
func BenchmarkBroker(b *testing.B) {
	const size = 1000
	s := newServer(b)
	b.Run("ours", func(b *testing.B) {
		c, err := broker.Connect(broker.Options{ProtoLib: "redis", ConnStr: s.ConnStr(), Topic: "ours",
			ConfigPath: configFile(b, "streamsize = 10000")})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(context.Background())
		payload := make([]byte, size)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		began, cpu := time.Now(), cpuTime()
		b.ReportAllocs()
		for b.Loop() {
			if err := c.PublishWait(broker.Message{Payload: payload}, 0, nil); err != nil {
				b.Fatal(err)
			}
		}
		if r := c.Drain(ctx); r.Remaining != 0 {
			b.Fatalf("%+v", r)
		}
		n := float64(c.Stats().Acknowledged)
		b.ReportMetric(n/time.Since(began).Seconds(), "messages/s")
		b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1000/n, "cpu-µs/message")
	})
	b.Run("redis-benchmark", func(b *testing.B) {
		tool, err := exec.LookPath("redis-benchmark")
		if err != nil {
			b.Skip("redis-benchmark is missing")
		}
		n := max(b.N, 100_000)
		host, port, _ := strings.Cut(s.Addr, ":")
		out, err := exec.Command(tool, "-h", host, "-p", port, "-n", fmt.Sprint(n), "-c", "1", "-P", "500", "-q",
			"XADD", "theirs", "MAXLEN", "~", "10000", "*", "metadata", strings.Repeat("x", size)).Output()
		if err != nil {
			b.Fatal(err)
		}
		m := regexp.MustCompile(`([0-9.]+) requests per second`).FindAllSubmatch(out, -1)
		if m == nil {
			b.Fatalf("%s", out)
		}
		rate, _ := strconv.ParseFloat(string(m[len(m)-1][1]), 64)
		b.ReportMetric(rate, "messages/s")
	})
}

// BenchmarkEncode is what one message of 1 kB costs Publish.
func BenchmarkEncode(b *testing.B) {
	for name, m := range map[string]adapters.Message{
		"plain":   {Topic: []byte("topic"), Payload: make([]byte, 1000)},
		"headers": {Topic: []byte("topic"), Payload: make([]byte, 1000), Session: 0xfedcba9876543210, Number: 1_000_000, TimestampMS: 1_700_000_000_000},
	} {
		b.Run(name, func(b *testing.B) {
			o, err := loadOptions(adapters.Config{}, connString{servers: []string{"h:1"}}, nil)
			if err != nil {
				b.Fatal(err)
			}
			e := newEncoder(o)
			buf := make([]byte, 0, chunkSize)
			b.ReportAllocs()
			for b.Loop() {
				if len(buf) > chunkSize-2000 {
					buf = buf[:0]
				}
				buf, _ = e.append(buf, &m)
			}
		})
	}
}
