// SPDX-License-Identifier: LGPL-2.1-or-later

// Command dtls lets two endpoints of one Go program exchange Opus audio over
// DTLS-SRTP on loopback, and prints what was negotiated and how many packets
// each decrypted. The elements are linked in (all.RegisterDTLS), in the place
// of GStreamer's own.
//
//	go run ./dtls [-tx-first] [-late 0.3s] [-restart red|blue] [-profile NAMES] [SECONDS]
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-gst/go-gst/gst"

	"github.com/gst-edgewire/gst-edgewire/plugins/all"
)

var (
	txFirst = flag.Bool("tx-first", false, "start each end's sending pipeline before its receiving one")
	late    = flag.Duration("late", 0, "start red, the server, that much after blue")
	restart = flag.String("restart", "", "stop that end (red or blue) halfway, and start it anew")
	profile = flag.String("profile", "", "SRTP profiles to offer or accept, by preference, as in SRTP_AEAD_AES_128_GCM")
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: dtls [options] [SECONDS]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dtls:", err)
		os.Exit(1)
	}
}

// An endpoint receives on one UDP port and sends to the other's, in a pipeline
// for each direction.
type endpoint struct {
	name   string
	client bool
	port   int
	peer   int // the other's port
	rx, tx *gst.Pipeline
}

func (e *endpoint) make() error {
	rx, err := gst.NewPipelineFromString(fmt.Sprintf(
		"udpsrc port=%d address=127.0.0.1 ! d.sink dtlssrtpdec name=d connection-id=%s d.rtp_src ! queue ! fakesink async=false",
		e.port, e.name))
	if err != nil {
		return err
	}
	options := ""
	if *profile != "" {
		options = "srtp-profiles=" + *profile
	}
	if *restart == "red" && e.client {
		// A server that was restarted waits for a ClientHello: notice its silence and greet it again.
		options += " peer-timeout=1000"
	}
	tx, err := gst.NewPipelineFromString(fmt.Sprintf(
		"audiotestsrc is-live=true ! audio/x-raw,rate=8000,format=S16LE,channels=1 ! opusenc frame-size=10 ! "+
			"rtpopuspay pt=103 ! e.rtp_sink_0 dtlssrtpenc name=e connection-id=%s is-client=%t %s e.src ! "+
			"udpsink host=127.0.0.1 port=%d", e.name, e.client, options, e.peer))
	if err != nil {
		return err
	}
	e.rx, e.tx = rx, tx
	return nil
}

// start may start either pipeline first: their order does not matter.
func (e *endpoint) start() error {
	if err := e.make(); err != nil {
		return err
	}
	order := []*gst.Pipeline{e.rx, e.tx}
	if *txFirst {
		order = []*gst.Pipeline{e.tx, e.rx}
	}
	for _, p := range order {
		if err := p.SetState(gst.StatePlaying); err != nil {
			return err
		}
	}
	return nil
}

func (e *endpoint) stop() {
	if e.tx != nil {
		e.tx.SetState(gst.StateNull)
		e.rx.SetState(gst.StateNull)
	}
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

// watch lets the ends talk, until one fails or, if it is given, something holds.
func watch(ends []*endpoint, d time.Duration, until func() bool) error {
	for end := time.Now().Add(d); time.Now().Before(end) && (until == nil || !until()); time.Sleep(50 * time.Millisecond) {
		for _, e := range ends {
			if err := e.failed(); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
		}
	}
	return nil
}

// decrypted is how many packets of RTP an end has decrypted.
func (e *endpoint) decrypted() uint64 {
	s, err := e.stats()
	if err != nil {
		return 0
	}
	n, _ := s["rtp-packets"].(uint64)
	return n
}

func run() error {
	seconds := 3
	if flag.NArg() > 0 {
		n, err := strconv.Atoi(flag.Arg(0))
		if err != nil || n < 1 || flag.NArg() > 1 {
			return fmt.Errorf("usage: dtls [options] [SECONDS]: a number of seconds from 1 on")
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
	blue, red := &endpoint{name: "blue", client: true, port: a, peer: b}, &endpoint{name: "red", port: b, peer: a}
	again, known := map[string]*endpoint{"": nil, "blue": blue, "red": red}[*restart]
	if !known {
		return fmt.Errorf("-restart: there is no end %q; write red or blue", *restart)
	}
	defer blue.stop()
	defer red.stop()
	var started []*endpoint
	start := func(e *endpoint) error {
		started = append(started, e)
		if err := e.start(); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		return nil
	}
	first, second := red, blue
	if *late > 0 {
		first, second = blue, red
	}
	if err := start(first); err != nil {
		return err
	}
	if err := watch(started, *late, nil); err != nil {
		return err
	}
	if err := start(second); err != nil {
		return err
	}
	length := time.Duration(seconds) * time.Second
	if again != nil {
		length /= 2
		if err := watch(started, length, nil); err != nil {
			return err
		}
		fmt.Printf("restarting %s after %d and %d packets\n", again.name, blue.decrypted(), red.decrypted())
		again.stop()
		if err := again.start(); err != nil {
			return fmt.Errorf("%s, again: %w", again.name, err)
		}
		other := map[*endpoint]*endpoint{blue: red, red: blue}[again]
		since := other.decrypted()
		both := func() bool { return again.decrypted() > 0 && other.decrypted() > since }
		if err := watch(started, 20*time.Second, both); err != nil {
			return err
		}
		if !both() {
			return fmt.Errorf("%s was restarted, and media does not flow both ways again", again.name)
		}
	}
	if err := watch(started, length, nil); err != nil {
		return err
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
