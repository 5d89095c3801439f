// SPDX-License-Identifier: LGPL-2.1-or-later

package broker_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/file" // each protocol registers itself
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// Publishing: a server that is away is waited for, and what it has not acknowledged at the end is on disk.
func Example() {
	folder, _ := os.MkdirTemp("", "example-")
	defer os.RemoveAll(folder)

	conn, err := broker.Connect(broker.Options{
		ProtoLib:     "file",
		ConnStr:      filepath.Join(folder, "messages.txt"),
		Topic:        "notes",
		StrictConfig: true,
		Spool:        broker.Spool{Dir: filepath.Join(folder, "spool")},
		OnState:      func(s broker.StateChange) { log.Println(s.Host, s.New, s.Reason, s.Attempt) },
		OnDropped:    func(d broker.DropReport) { log.Println(d.Dropped+d.Failed, "not delivered:", d.Reason) },
	})
	if err != nil {
		log.Fatal(err) // a mistake in the options: a server that is away is none
	}
	for i := range 3 {
		if err := conn.Publish(broker.Message{Key: []byte("k"), Payload: fmt.Appendf(nil, `{"n":%d}`, i)}); err != nil {
			log.Println("dropped:", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn.Drain(ctx) // Close alone waits for a server that is there, and leaves the rest to the spool
	report := conn.Close(ctx)
	fmt.Println(conn.Stats().Acknowledged, "acknowledged,", report.Spooled, "spooled,", report.Remaining, "given up")
	// Output: 3 acknowledged, 0 spooled, 0 given up
}

// Receiving: a message that has no Ack comes again.
func ExampleConnection_Subscribe() {
	conn, err := broker.Connect(broker.Options{ProtoLib: "kafka", ConnStr: "localhost;9092", ReceiveOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(context.Background())
	sub, err := conn.Subscribe(broker.SubscribeOptions{Topics: []string{"commands"}, Group: "camera-7"})
	if err != nil {
		log.Fatal(err)
	}
	for {
		m, err := sub.Next(context.Background())
		if err != nil {
			return // closed, or failed for good
		}
		fmt.Printf("%s %s: %s\n", m.Topic, m.Position, m.Payload)
		sub.Ack(&m)
	}
}

// TestGoPage: the code of the page is that of the examples, which compile.
func TestGoPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	blocks := strings.Split(string(page), "```go\n")[1:]
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(squeeze(string(source)), squeeze(code)) {
			t.Errorf("not in example_test.go:\n%s", code)
		}
	}
	if len(blocks) != 3 {
		t.Errorf("%d blocks of code", len(blocks))
	}
}
