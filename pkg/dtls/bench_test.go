// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHandshake is a handshake of two ends with certificates that are
// there already, from open to connected to closed.
func BenchmarkHandshake(b *testing.B) { benchmarkHandshake(b, false) }

// BenchmarkHandshakeNewCertificates makes a certificate for each end.
func BenchmarkHandshakeNewCertificates(b *testing.B) { benchmarkHandshake(b, true) }

func benchmarkHandshake(b *testing.B, fresh bool) {
	var ids [2]*identity.Identity
	for i := range ids {
		var err error
		if ids[i], err = identity.Generate(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		client, server := newEnd(b, true), newEnd(b, false)
		if !fresh {
			client.decConfig.Identity, server.decConfig.Identity = ids[0], ids[1]
		}
		connectEnds(client, server)
		client.open()
		server.open()
		server.start()
		client.start()
		client.connected(1)
		server.connected(1)
		client.close()
		server.close()
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e3, "cpu-µs/op")
}

// BenchmarkData is one record of 1200 bytes through both ends.
func BenchmarkData(b *testing.B) {
	client, server, _, _ := pair(b)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	p := make([]byte, 1200)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		if err := client.enc.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

var connections = flag.Int("connections", 0, "TestMemory: how many connections to make, both ends in this process")

// TestMemory measures established connections:
// go test -run TestMemory -connections 200 -v
func TestMemory(t *testing.T) {
	if *connections == 0 {
		t.Skip("a measurement: use -connections")
	}
	rss := func() int {
		b, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
				n, _ := strconv.Atoi(f[1])
				return n
			}
		}
		return 0
	}
	before := rss()
	start := time.Now()
	busy := cpu()
	var ends []*end
	for range *connections {
		client, server, _, _ := pair(t)
		server.start()
		client.start()
		ends = append(ends, client, server)
	}
	for _, e := range ends {
		e.connected(1)
	}
	took := time.Since(start)
	busy = cpu() - busy
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d connections in %v, %v CPU each; RSS %d kB before, %d kB now; heap %d kB; %d goroutines",
		*connections, took, busy/time.Duration(*connections), before, rss(), m.HeapAlloc>>10, runtime.NumGoroutine())
	debug.FreeOSMemory()
	runtime.ReadMemStats(&m)
	t.Logf("after a collection: RSS %d kB, heap %d kB, %d kB per end", rss(), m.HeapAlloc>>10, int(m.HeapAlloc>>10)/len(ends))
}
