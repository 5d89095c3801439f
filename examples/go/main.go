// SPDX-License-Identifier: LGPL-2.1-or-later

// Command example is a Go program that publishes from a GStreamer pipeline. It
// links the elements in (plugins/all) instead of loading the plugin files,
// which would bring a second Go runtime, and drives the pipeline by go-gst.
//
//	go run . "localhost;9092;frames" 100
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/go-gst/go-gst/gst"

	"github.com/gst-edgewire/gst-edgewire/plugins/all"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: example HOST;PORT;TOPIC FRAMES")
	}
	frames, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return fmt.Errorf("%q is no number of frames", os.Args[2])
	}
	gst.Init(nil)
	if err := all.Register(); err != nil {
		return err
	}
	// msg2p-newapi with frame-interval=1: a message for every frame, with what
	// was detected in it. Here nothing detects; put a detector before msgconv.
	pipeline, err := gst.NewPipelineFromString(fmt.Sprintf(
		"videotestsrc num-buffers=%d ! video/x-raw,width=320,height=240 ! "+
			"msgconv payload-type=1 msg2p-newapi=true frame-interval=1 sensor-id=go-example ! "+
			"msgbroker proto-lib=kafka conn-str=%q", frames, os.Args[1]))
	if err != nil {
		return err
	}
	defer pipeline.SetState(gst.StateNull)
	if err := pipeline.SetState(gst.StatePlaying); err != nil {
		return err
	}
	bus := pipeline.GetPipelineBus()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		msg := bus.TimedPop(gst.ClockTime(100 * time.Millisecond))
		if msg == nil {
			continue
		}
		switch msg.Type() {
		case gst.MessageError:
			return msg.ParseError()
		case gst.MessageElement:
			if s := msg.GetStructure(); s != nil && s.Name() == "msgbroker-stats" {
				fmt.Println(s.String())
			}
		case gst.MessageEOS:
			return nil
		}
	}
	return fmt.Errorf("no end of the stream within a minute")
}
