// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// startBroker runs "edgewire broker" with these options until the test ends or
// stop is called, which gives what it printed.
func startBroker(t *testing.T, args ...string) (address string, stop func() result) {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan result, 1)
	go func() {
		done <- runLine(ctx, "", append([]string{"broker", "--listen", "127.0.0.1:0", "--ready-file", ready}, args...)...)
	}()
	stopped := false
	stop = func() (r result) {
		t.Helper()
		cancel()
		if stopped {
			return result{}
		}
		stopped = true
		select {
		case r = <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("the broker did not stop")
		}
		return r
	}
	t.Cleanup(func() { stop() })
	for range 500 {
		if b, err := os.ReadFile(ready); err == nil {
			return strings.TrimSpace(string(b)), stop
		}
		select {
		case r := <-done:
			stopped = true
			t.Fatalf("the broker ended with %d: %s", r.code, r.err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("the broker was not ready after 5 s")
	return "", nil
}

// send publishes messages to a topic and waits for their acknowledgement.
func send(t *testing.T, address, topic string, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func text(values ...string) []*kgo.Record {
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, kgo.StringRecord(v))
	}
	return records
}

func TestBrokerSaysItsAddressAndStops(t *testing.T) {
	address, stop := startBroker(t, "--topics", "one, two")
	send(t, address, "one", text("m")...)
	r := stop()
	if r.code != exitOK || r.err != "" {
		t.Errorf("ended with %d: %s", r.code, r.err)
	}
	if want := "listens on " + address; !strings.Contains(r.out, want) || !strings.Contains(r.out, "stopped") {
		t.Errorf("printed %q, want %q and its end", r.out, want)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

func TestBrokerNamesTheTakenAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := runLine(t.Context(), "", "broker", "--listen", l.Addr().String())
	if r.code != exitError || !strings.Contains(r.err, l.Addr().String()) || !strings.Contains(r.err, "in use") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
}

func TestBrokerKeepsItsData(t *testing.T) {
	data := t.TempDir()
	address, stop := startBroker(t, "--data", data, "--topics", "kept")
	send(t, address, "kept", text("a", "b", "c")...)
	if r := stop(); r.code != exitOK {
		t.Fatal(r.err)
	}
	address, _ = startBroker(t, "--data", data, "--topics", "kept")
	r := runLine(t.Context(), "", "consume", "--brokers", address, "--topic", "kept", "--from-start", "--count", "3", "--raw", "--idle-timeout", "10s")
	if r.code != exitOK || r.out != "a\nb\nc\n" {
		t.Errorf("after the restart: %d, %q, %s", r.code, r.out, r.err)
	}
}

// TestBrokerKilled: kill -9 loses nothing that was acknowledged, and two brokers do not share a folder.
func TestBrokerKilled(t *testing.T) {
	const argsEnv = "EDGEWIRE_TEST_BROKER"
	if args := os.Getenv(argsEnv); args != "" { // the child
		runLine(t.Context(), "", strings.Split(args, "\n")...)
		return
	}
	data, ready := t.TempDir(), filepath.Join(t.TempDir(), "ready")
	child := exec.Command(os.Args[0], "-test.run=^TestBrokerKilled$", "-test.timeout=60s")
	child.Env = append(os.Environ(), argsEnv+"="+strings.Join([]string{"broker", "--listen", "127.0.0.1:0", "--ready-file", ready, "--data", data}, "\n"))
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	var address string
	for i := 0; address == "" && i < 1000; i++ {
		b, _ := os.ReadFile(ready)
		address = strings.TrimSpace(string(b))
		time.Sleep(10 * time.Millisecond)
	}
	send(t, address, "made-by-use", text("a", "b", "c")...)
	if r := runLine(t.Context(), "", "broker", "--listen", "127.0.0.1:0", "--data", data); r.code != exitError || !strings.Contains(r.err, "another broker") {
		t.Errorf("a second one: %d, %s", r.code, r.err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	address, _ = startBroker(t, "--data", data)
	r := runLine(t.Context(), "", "consume", "--brokers", address, "--topic", "made-by-use", "--from-start", "--count", "3", "--raw", "--idle-timeout", "10s")
	if r.code != exitOK || r.out != "a\nb\nc\n" {
		t.Errorf("after the kill: %d, %q, %s", r.code, r.out, r.err)
	}
}

func TestBrokerWithPartitions(t *testing.T) {
	address, _ := startBroker(t, "--partitions", "3")
	var records []*kgo.Record
	for i := range 3 {
		records = append(records, &kgo.Record{Value: []byte("m"), Key: fmt.Append(nil, i)})
	}
	send(t, address, "spread", records...)
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	meta, err := metadata(t.Context(), client, consumeOptions{topics: list{"spread"}, wait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(meta.Topics[0].Partitions); n != 3 {
		t.Errorf("%d partitions, want 3", n)
	}
}
