// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A realServer is an Apache Kafka of one test's own.
type realServer struct{ dir, addr string }

func (s *realServer) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("../../../scripts/kafka", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scripts/kafka %v: %v\n%s", args, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func (s *realServer) Start(t *testing.T) {
	s.addr = strings.TrimPrefix(s.run(t, "start", s.dir), "bootstrap=")
}
func (s *realServer) Stop(t *testing.T)    { s.run(t, "stop", s.dir, "--keep") }
func (s *realServer) ConnStr() string      { return strings.Replace(s.addr, ":", ";", 1) }
func (s *realServer) UnknownTopic() string { return "" }
func (s *realServer) TooLarge() int        { return 2_000_000 }
func (s *realServer) Malformed() []string  { return nil } // as in TestConformance
func (s *realServer) ConfigPath(t *testing.T) string {
	return writeFile(t, "kafka.cfg", "[message-broker]\nproto-cfg = \"reconnect.backoff.max.ms=300\"\n")
}

func (s *realServer) Consume(t *testing.T, topic string, n int) []adaptertest.Received {
	return consume(t, s.addr, topic, n)
}

// Settled: places are committed every auto.commit.interval.ms.
func (s *realServer) Settled(t *testing.T, topic, group string, n int) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	req.Groups = append(req.Groups, rg)
	adaptertest.Wait(t, "a commit", func() bool {
		resp, err := req.RequestWith(deadline(t, 10*time.Second), cl)
		if err != nil {
			t.Fatal(err)
		}
		committed := int64(0)
		for _, g := range resp.Groups {
			for _, rt := range g.Topics {
				for _, p := range rt.Partitions {
					if rt.Topic == topic && p.Offset > 0 {
						committed += p.Offset
					}
				}
			}
		}
		return committed >= int64(n)
	})
}

// TestRealConformance: the suite against Apache Kafka, restarts included.
func TestRealConformance(t *testing.T) {
	if external() == "" {
		t.Skip("EDGEWIRE_KAFKA is not set: the suite does NOT run against a real Kafka")
	}
	s := &realServer{dir: filepath.Join(t.TempDir(), "kafka")}
	t.Cleanup(func() { s.run(t, "stop", s.dir) })
	s.Start(t)
	adaptertest.Run(t, adapter{}, s)
}
