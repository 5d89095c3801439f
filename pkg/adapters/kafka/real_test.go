// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
