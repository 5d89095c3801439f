// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// noted remembers what a wire tells.
type noted struct {
	acks    []uint64
	returns []returned
	settles int
	under   int // what settled answers
}

func (n *noted) confirmed(number uint64, multiple, ok bool) {
	v := number << 2
	if multiple {
		v |= 2
	}
	if ok {
		v |= 1
	}
	n.acks = append(n.acks, v)
}
func (n *noted) unroutable(r *returned) { n.returns = append(n.returns, *r) }
func (n *noted) settled() int           { n.settles++; return n.under }

// A script is a connection whose other end says what stands in it, in pieces of so many bytes.
type script struct {
	net.Conn
	text  []byte
	piece int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.text)
	s.text = s.text[n:]
	return n, nil
}
func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func frame(kind byte, channel uint16, payload ...byte) []byte {
	b := append(begin(nil, kind, channel), payload...)
	return finish(b, 0)
}

func method(channel uint16, class, id byte, more ...byte) []byte {
	return frame(frameMethod, channel, append([]byte{0, class, 0, id}, more...)...)
}

func tag(n uint64, bits byte) []byte { return append(binary.BigEndian.AppendUint64(nil, n), bits) }

// through lets a wire whose channel is 1 read text.
func through(text []byte, piece, under int) ([]byte, *noted, error) {
	n := &noted{under: under}
	w := newWire(&script{text: text, piece: piece}, n)
	defer w.wait()
	defer w.Close()
	w.ours.Store(1)
	got, err := io.ReadAll(w)
	return got, n, err
}

// TestWire: what is ours is taken out, however it is cut; what is the library's comes through whole.
func TestWire(t *testing.T) {
	e := encoder{channel: 1, frame: 100, content: "text/plain", id: 7}
	message := e.append(nil, &outbox.Message{Message: adapters.Message{Seq: 9, Topic: []byte("t"), Payload: bytes.Repeat([]byte("x"), 250)}})
	publish := int(binary.BigEndian.Uint32(message[3:])) + frameOverhead
	library := [][]byte{method(0, 10, 60), frame(8, 0), method(1, classChannel, channelClose, make([]byte, 100_000)...),
		method(2, classBasic, basicAck, tag(5, 0)...), frame(frameBody, 2, 1, 2, 3)}
	ours := [][]byte{method(1, classBasic, basicAck, tag(1, 0)...), method(1, classBasic, basicAck, tag(4, 1)...),
		append(method(1, classBasic, basicReturn, append([]byte{1, 56, 8}, "NO_ROUTE\x00\x01t"...)...), message[publish:]...),
		method(1, classBasic, basicNack, tag(5, 0)...), method(1, classBasic, basicAck)}
	var text, want []byte
	for i := range library {
		text = append(append(text, library[i]...), ours[i]...)
		want = append(want, library[i]...)
	}
	want = append(want, ours[4]...) // too short to be ours
	for i, piece := range []int{1, 2, 7, 100, 4096, 1 << 20} {
		got, n, err := through(text, piece, i%2*gatherFrom)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("in pieces of %d: %d bytes, want %d, %v", piece, len(got), len(want), err)
		}
		if len(n.acks) != 3 || n.acks[0] != 1<<2|1 || n.acks[1] != 4<<2|3 || n.acks[2] != 5<<2 || n.settles == 0 {
			t.Errorf("in pieces of %d: %v", piece, n.acks)
		}
		if len(n.returns) != 1 || n.returns[0] != (returned{312, "NO_ROUTE", "0000000000000007-9"}) {
			t.Errorf("in pieces of %d: %+v", piece, n.returns)
		}
	}
	if run, number, ok := splitMessageID("0000000000000007-9"); run != 7 || number != 9 || !ok {
		t.Error(run, number, ok)
	}
}

// TestGather: while much is under way, everything that came by the end is told, and waiting for more ends with
// the connection.
func TestGather(t *testing.T) {
	near, far := net.Pipe()
	n := &noted{under: gatherFrom}
	w := newWire(near, n)
	w.ours.Store(1)
	read := make(chan error)
	go func() {
		_, err := io.ReadAll(w)
		read <- err
	}()
	for i := range uint64(20) {
		if _, err := far.Write(method(1, classBasic, basicAck, tag(i+1, 0)...)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, w.Close())
	w.wait()
	if err := <-read; err == nil || len(n.acks) != 20 || n.acks[19] != 20<<2|1 {
		t.Errorf("%v, %v", n.acks, err)
	}
	must(t, far.Close())
}

// TestHalted: when the server has closed our channel nothing more is published on it.
func TestHalted(t *testing.T) {
	w := newWire(&script{text: method(1, classChannel, channelClose), piece: 100}, &noted{})
	defer w.wait()
	defer w.Close()
	_, _ = w.Write([]byte("AMQP\x00\x00\x09\x01"))
	open := method(1, classChannel, channelOpen, 0)
	_, _ = w.Write(open[:5]) // the library's frames come in pieces
	_, _ = w.Write(open[5:])
	if w.bind() != 1 {
		t.Fatal("not bound")
	}
	e := encoder{channel: 1, frame: 100}
	m := []outbox.Message{{Tag: 1, Message: adapters.Message{Payload: []byte("x")}}}
	if !w.publish(&e, m) {
		t.Error("refused on an open channel")
	}
	if _, err := io.ReadAll(w); err != nil {
		t.Error(err)
	}
	if w.publish(&e, m) {
		t.Error("published on a closed channel")
	}
	w.bind()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if w.publish(&e, m) {
		t.Error("published on a closed connection")
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// FuzzWire: whatever a server sends, nothing breaks, and memory stays bounded.
func FuzzWire(f *testing.F) {
	e := encoder{channel: 1, frame: 10, id: 7}
	f.Add(e.append(nil, &outbox.Message{Message: adapters.Message{Topic: []byte("t"), Payload: []byte("payload payload")}}), 3)
	f.Add(append(method(1, classBasic, basicReturn, 1, 2, 200), frame(frameHeader, 1, 1, 2, 3)...), 1)
	f.Add(method(1, classBasic, basicNack, tag(1<<63, 3)...), 100)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), 5)
	f.Add([]byte("AMQP\x00\x00\x09\x01"), 5)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		if piece < 1 || piece > 1<<16 {
			piece = 1
		}
		got, _, _ := through(bytes.Clone(text), piece, 0)
		if len(got) > len(text) {
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
	})
}
