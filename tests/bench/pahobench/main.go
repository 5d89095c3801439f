// SPDX-License-Identifier: LGPL-2.1-or-later

// Command pahobench is the rival of the MQTT benchmark: a loop over Eclipse's client for Go.
//
//	pahobench HOST:PORT TOPIC COUNT SIZE
//
// It publishes COUNT messages of SIZE bytes with QoS 1 over MQTT 3.1.1 as fast as the library takes them,
// with at most 1000 without an acknowledgement, waits for all, and prints one line of JSON:
// {"messages":N,"seconds":S,"cpu_us_per_message":C}. A first message warms up.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
)

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		fail(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "pahobench:", err)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("usage: pahobench HOST:PORT TOPIC COUNT SIZE"))
	}
	count, err1 := strconv.Atoi(os.Args[3])
	size, err2 := strconv.Atoi(os.Args[4])
	if err1 != nil || err2 != nil {
		fail(fmt.Errorf("COUNT and SIZE are numbers"))
	}
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + os.Args[1]).SetClientID("pahobench").SetMessageChannelDepth(1000))
	wait := func(t mqtt.Token) {
		if t.Wait(); t.Error() != nil {
			fail(t.Error())
		}
	}
	wait(c.Connect())
	payload := make([]byte, size)
	wait(c.Publish(os.Args[2], 1, false, payload))
	began, used := time.Now(), cpu()
	tokens, done := make(chan mqtt.Token, 1000), make(chan struct{})
	safe.Go(nil, "answers", func(e *safe.PanicError) { fail(e) }, func() {
		for t := range tokens {
			wait(t)
		}
		close(done)
	})
	for range count {
		tokens <- c.Publish(os.Args[2], 1, false, payload)
	}
	close(tokens)
	<-done
	seconds, used := time.Since(began).Seconds(), cpu()-used
	fmt.Printf("{\"messages\":%d,\"seconds\":%.6f,\"cpu_us_per_message\":%.4f}\n", count, seconds, float64(used.Nanoseconds())/1e3/float64(count))
	c.Disconnect(100)
}
