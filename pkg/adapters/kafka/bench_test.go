// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// serveEnv makes this test binary a broker in a process of its own, so that its CPU time is not ours.
const serveEnv = "EDGEWIRE_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1), kfake.BlackholeProduce())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(c.ListenAddrs()[0])
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent ends
		c.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// benchServer returns the address of a broker outside this process.
func benchServer(b *testing.B) string {
	if addr := external(); addr != "" {
		return addr
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		b.Fatal(err)
	}
	return addr
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBroker sends messages of 1 kB through the whole way, beside the plain C producer with the same
// options; both count acknowledged messages only.
func BenchmarkBroker(b *testing.B) {
	const size = 1000
	addr := benchServer(b)
	rival := buildRival(b)
	b.Run("ours", func(b *testing.B) {
		c := connect(b, nil, broker.Options{ConnStr: strings.Replace(addr, ":", ";", 1), Topic: fmt.Sprintf("ours-%d", time.Now().UnixNano())})
		payload := make([]byte, size)
		if err := c.Publish(broker.Message{Payload: payload}); err != nil {
			b.Fatal(err)
		}
		c.Drain(deadline(b, 30*time.Second))
		before := c.Stats().Acknowledged
		began, cpu := time.Now(), cpuTime()
		b.ReportAllocs()
		for b.Loop() {
			if err := c.PublishWait(broker.Message{Payload: payload}, 0, nil); err != nil {
				b.Fatal(err)
			}
		}
		if r := c.Drain(deadline(b, time.Minute)); r.Remaining != 0 {
			b.Fatalf("%+v", r)
		}
		n := float64(c.Stats().Acknowledged - before)
		b.ReportMetric(n/time.Since(began).Seconds(), "messages/s")
		b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/n, "cpu-µs/message")
	})
	b.Run("C", func(b *testing.B) {
		// An iteration is a message, as above.
		out, err := exec.Command(rival, addr, fmt.Sprintf("rival-%d", time.Now().UnixNano()), fmt.Sprint(max(b.N, 1)), fmt.Sprint(size),
			"enable.idempotence=true", "message.timeout.ms=0", "linger.ms=5", "batch.size=262144").Output()
		var r struct {
			Messages, Seconds float64
			CPU               float64 `json:"cpu_us_per_message"`
		}
		if err = errors.Join(err, json.Unmarshal(out, &r)); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Messages/r.Seconds, "messages/s")
		b.ReportMetric(r.CPU, "cpu-µs/message")
	})
}

func buildRival(b *testing.B) string {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/confluentinc/confluent-kafka-go/v2").Output()
	if err != nil {
		b.Skip("the module's folder is not known")
	}
	vendor := filepath.Join(strings.TrimSpace(string(dir)), "kafka", "librdkafka_vendor")
	tmp := b.TempDir()
	if err := os.Symlink(vendor, filepath.Join(tmp, "librdkafka")); err != nil {
		b.Fatal(err)
	}
	exe := filepath.Join(tmp, "rdkafka_producer")
	out, err := exec.Command("gcc", "-O2", "-I"+tmp, "-o", exe, "../../../tests/bench/rdkafka_producer.c",
		filepath.Join(vendor, "librdkafka_glibc_linux_"+runtime.GOARCH+".a"), "-lm", "-ldl", "-lpthread", "-lrt").CombinedOutput()
	if err != nil {
		b.Skipf("cannot build the rival: %v %s", err, out)
	}
	return exe
}

// BenchmarkProduce is what one crossing costs a message: a batch of 256 into librdkafka, without a server.
func BenchmarkProduce(b *testing.B) {
	for name, session := range map[string]uint64{"plain": 0, "headers": 0xfedcba9876543210} {
		b.Run(name, func(b *testing.B) {
			c := openConn(b, "127.0.0.1;1", "", adaptertest.NewRecorder())
			batch := batchOf(1, "nowhere", 256, 1000)
			for i := range batch.Records {
				batch.Records[i].Session, batch.Records[i].Number = session, uint64(1_000_000+i)
			}
			for b.Loop() {
				n, err := c.Publish(batch, 0)
				if err != nil {
					b.Fatal(err)
				}
				if n < batch.Len() {
					b.StopTimer()
					c.purge()
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/message")
		})
	}
}
