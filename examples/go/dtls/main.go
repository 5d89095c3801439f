// SPDX-License-Identifier: LGPL-2.1-or-later

// Command dtls lets two endpoints of one Go program exchange Opus audio over
// DTLS-SRTP on loopback, and prints what was negotiated and how many packets
// each decrypted. The elements are linked in (all.RegisterDTLS), in the place
// of GStreamer's own.
//
//	go run ./dtls 3
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-gst/go-gst/gst"

	"github.com/gst-edgewire/gst-edgewire/plugins/all"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dtls:", err)
		os.Exit(1)
	}
}

// An endpoint receives on one UDP port and sends to the other's, in a pipeline
// for each direction.
type endpoint struct {
	name   string
	rx, tx *gst.Pipeline
}

func newEndpoint(name string, client bool, port, peer int) (*endpoint, error) {
	rx, err := gst.NewPipelineFromString(fmt.Sprintf(
		"udpsrc port=%d address=127.0.0.1 ! d.sink dtlssrtpdec name=d connection-id=%s d.rtp_src ! queue ! fakesink async=false",
		port, name))
	if err != nil {
		return nil, err
	}
	tx, err := gst.NewPipelineFromString(fmt.Sprintf(
		"audiotestsrc is-live=true ! audio/x-raw,rate=8000,format=S16LE,channels=1 ! opusenc frame-size=10 ! "+
			"rtpopuspay pt=103 ! e.rtp_sink_0 dtlssrtpenc name=e connection-id=%s is-client=%t e.src ! "+
			"udpsink host=127.0.0.1 port=%d", name, client, peer))
	if err != nil {
		return nil, err
	}
	return &endpoint{name, rx, tx}, nil
}

// start may start either pipeline first: their order does not matter.
func (e *endpoint) start() error {
	for _, p := range []*gst.Pipeline{e.tx, e.rx} {
		if err := p.SetState(gst.StatePlaying); err != nil {
			return err
		}
	}
	return nil
}

func (e *endpoint) stop() {
	e.tx.SetState(gst.StateNull)
	e.rx.SetState(gst.StateNull)
}

// failed tells of the first error that a pipeline has posted.
func (e *endpoint) failed() error {
	for _, p := range []*gst.Pipeline{e.tx, e.rx} {
		bus := p.GetPipelineBus()
		for msg := bus.Pop(); msg != nil; msg = bus.Pop() {
			if msg.Type() == gst.MessageError {
				return msg.ParseError()
			}
		}
	}
	return nil
}

func (e *endpoint) stats() (map[string]interface{}, error) {
	dec, err := e.rx.GetElementByName("d")
	if err != nil {
		return nil, err
	}
	v, err := dec.GetProperty("stats")
	if err != nil {
		return nil, err
	}
	s, ok := v.(*gst.Structure)
	if !ok {
		return nil, fmt.Errorf("stats of %s is a %T", e.name, v)
	}
	return s.Values(), nil
}

func freePorts() (a, b int, err error) {
	var conns [2]net.PacketConn
	for i := range conns {
		if conns[i], err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return 0, 0, err
		}
		defer conns[i].Close()
	}
	return conns[0].LocalAddr().(*net.UDPAddr).Port, conns[1].LocalAddr().(*net.UDPAddr).Port, nil
}

func run() error {
	seconds := 3
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		if err != nil || n < 1 {
			return fmt.Errorf("usage: dtls [SECONDS]")
		}
		seconds = n
	}
	gst.Init(nil)
	if err := all.RegisterDTLS(); err != nil {
		return err
	}
	a, b, err := freePorts()
	if err != nil {
		return err
	}
	blue, err := newEndpoint("blue", true, a, b)
	if err != nil {
		return err
	}
	defer blue.stop()
	red, err := newEndpoint("red", false, b, a)
	if err != nil {
		return err
	}
	defer red.stop()
	for _, e := range []*endpoint{red, blue} {
		if err := e.start(); err != nil {
			return err
		}
	}
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, e := range []*endpoint{red, blue} {
			if err := e.failed(); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
		}
	}
	for _, e := range []*endpoint{red, blue} {
		s, err := e.stats()
		if err != nil {
			return err
		}
		n, _ := s["rtp-packets"].(uint64)
		fmt.Printf("%-4s %v, %v: %d packets decrypted\n", e.name, s["version-name"], s["profile"], n)
		if n == 0 {
			return fmt.Errorf("%s decrypted nothing", e.name)
		}
	}
	return nil
}
