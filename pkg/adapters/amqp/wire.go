// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	// Publishing pauses while so much waits for the network: the messages themselves are kept elsewhere.
	maxOut = 1 << 20
	// A server answers in small pieces, and each one that is read by itself wakes us. While so many messages
	// are under way, what is answered within gatherFor is read at once: nothing waits for it.
	gatherFrom = 512
	gatherFor  = 2 * time.Millisecond
	// A frame that is larger was not agreed on.
	maxFrame = 1<<20 + frameOverhead
)

// A wire is a connection to a server as the library sees it, with a channel of ours in between.
//
// Write never waits for the network: a goroutine writes what has gathered. Read hands on what the server
// sends, but for the confirmations and returned messages of our channel, which go to the listener.
type wire struct {
	net.Conn
	listen listener
	wg     sync.WaitGroup
	room   chan struct{} // a token when there is room for more
	wake   chan struct{} // a token when there is something to write
	gone   chan struct{} // closed by Close
	once   sync.Once

	mu      sync.Mutex // out
	out     []byte     // whole frames
	part    []byte     // the beginning of a frame of the library's
	greeted bool       // the protocol header was written
	err     error
	opened  uint16 // the channel that the library opened last
	bound   uint16 // ours; 0 means none
	halted  bool   // the server has closed ours

	// The library's reader alone.
	in        []byte // what was read and not looked at: [0:inLen]
	inLen     int
	ready     []byte       // to be handed on
	gather    bool         // the next answers may wait for others
	returning *returned    // a message that is being returned
	ours      atomic.Int32 // bound, for the reader
	quiet     atomic.Int64 // how long the server may be silent, in ns; 0 means for ever
}

// A listener is told what concerns our channel, by the goroutine that reads.
type listener interface {
	confirmed(number uint64, multiple, ok bool)
	unroutable(m *returned)
	// What came at once has been told; under is how many messages wait for their answers.
	settled() (under int)
}

// A returned message is one that no queue has taken.
type returned struct {
	code uint16
	text string
	id   string
}

func newWire(c net.Conn, l listener) *wire {
	w := &wire{Conn: c, listen: l, room: make(chan struct{}, 1), wake: make(chan struct{}, 1), gone: make(chan struct{}), in: make([]byte, 64<<10)}
	safe.Go(&w.wg, "writing to "+c.RemoteAddr().String(), func(*safe.PanicError) { _ = w.Close() }, w.write)
	return w
}

// Write takes what the library sends. Its frames come in pieces; ours must not get between them.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	n := len(p)
	if !w.greeted { // "AMQP" and the version, no frame
		w.greeted = true
		w.out = append(w.out, p...)
		outbox.Token(w.wake)
		return n, nil
	}
	w.part = append(w.part, p...)
	for len(w.part) >= 7 {
		size := int(binary.BigEndian.Uint32(w.part[3:])) + frameOverhead
		if len(w.part) < size {
			break
		}
		if f := w.part[:size]; f[0] == frameMethod && size >= 12 && binary.BigEndian.Uint32(f[7:]) == classChannel<<16|channelOpen {
			w.opened = binary.BigEndian.Uint16(f[1:])
		}
		w.out = append(w.out, w.part[:size]...)
		w.part = w.part[size:]
	}
	outbox.Token(w.wake)
	return n, nil
}

// bind makes the channel that the library opened last ours. It must not be used for anything else.
func (w *wire) bind() uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bound, w.halted = w.opened, false
	w.ours.Store(int32(w.bound))
	return w.bound
}

// publish appends messages for our channel. It reports false, without having taken any, when that is closed.
func (w *wire) publish(e *encoder, messages []outbox.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.halted {
		return false
	}
	for i := range messages {
		w.out = e.append(w.out, &messages[i])
	}
	outbox.Token(w.wake)
	return true
}

// full reports that publishing must wait for a token of room.
func (w *wire) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.out) >= maxOut
}

// write is the goroutine that writes to the network.
func (w *wire) write() {
	var spare []byte
	for {
		select {
		case <-w.gone:
			return
		case <-w.wake:
		}
		w.mu.Lock()
		data := w.out
		w.out = spare[:0]
		w.mu.Unlock()
		if len(data) == 0 {
			spare = data
			continue
		}
		outbox.Token(w.room)
		if _, err := w.Conn.Write(data); err != nil {
			w.fail(err)
			return
		}
		if spare = data; cap(spare) > 4*maxOut {
			spare = nil
		}
	}
}

func (w *wire) fail(err error) {
	w.note(err)
	_ = w.Close()
}

// note keeps the first error.
func (w *wire) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// cause is what the network said; nil when it was we who closed.
func (w *wire) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, net.ErrClosed) {
		return nil
	}
	return w.err
}

// Close ends the connection; wait joins what it has started.
func (w *wire) Close() error {
	w.once.Do(func() {
		w.note(net.ErrClosed)
		close(w.gone)
		_ = w.Conn.Close()
	})
	return nil
}

func (w *wire) wait() { w.wg.Wait() }

// SetReadDeadline is how the library says by when it wants a sign of life; what we take out of the stream is
// one, too.
func (w *wire) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		w.quiet.Store(0)
	} else {
		w.quiet.Store(int64(time.Until(t)))
	}
	return w.Conn.SetReadDeadline(t)
}

// SetDeadline is used at the beginning and at the end.
func (w *wire) SetDeadline(t time.Time) error {
	w.quiet.Store(0)
	return w.Conn.SetDeadline(t)
}

// Read gives the library its frames.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.ready) == 0 {
		if w.gather {
			w.gather = false
			outbox.Sleep(gatherFor, w.gone)
		}
		n, err := w.Conn.Read(w.in[w.inLen:])
		if n > 0 {
			w.inLen += n
			if quiet := w.quiet.Load(); quiet > 0 {
				_ = w.Conn.SetReadDeadline(time.Now().Add(time.Duration(quiet)))
			}
			if err := w.sort(); err != nil {
				w.note(err)
				return 0, err
			}
		}
		if err != nil && len(w.ready) == 0 {
			w.note(err)
			return 0, err
		}
	}
	n := copy(p, w.ready)
	w.ready = w.ready[n:]
	return n, nil
}

// sort takes whole frames out of what was read.
func (w *wire) sort() error {
	w.ready = w.ready[:0]
	at, told := 0, false
	for w.inLen-at >= 7 {
		if w.in[at] == 'A' { // the server's protocol header: it refuses ours
			w.ready = append(w.ready, w.in[at:w.inLen]...)
			at = w.inLen
			break
		}
		size := uint64(binary.BigEndian.Uint32(w.in[at+3:])) + frameOverhead
		if size > maxFrame {
			return fmt.Errorf("what the server sends is no AMQP 0-9-1 (a frame of %d bytes); check the port", size)
		}
		if uint64(w.inLen-at) < size {
			if int(size) > len(w.in)-at {
				w.in = append(make([]byte, 0, 2*int(size)), w.in[at:w.inLen]...)
				w.inLen, at = len(w.in), 0
				w.in = w.in[:cap(w.in)]
			}
			break
		}
		frame := w.in[at : at+int(size)]
		at += int(size)
		ours := int32(binary.BigEndian.Uint16(frame[1:])) == w.ours.Load() && w.ours.Load() != 0
		if !ours || !w.take(frame[0], frame[7:size-1]) {
			w.ready = append(w.ready, frame...)
		} else {
			told = true
		}
	}
	w.inLen = copy(w.in, w.in[at:w.inLen])
	if told {
		w.gather = w.listen.settled() >= gatherFrom
	}
	return nil
}

// take handles a frame of our channel; false means that it is the library's.
func (w *wire) take(kind byte, p []byte) bool {
	switch {
	case kind == frameHeader && w.returning != nil:
		w.returning.id, _ = parseMessageID(p)
		r := w.returning
		w.returning = nil
		w.listen.unroutable(r)
		return true
	case kind == frameHeader || kind == frameBody: // of a returned message
		return true
	case kind != frameMethod || len(p) < 4:
		return false
	}
	switch binary.BigEndian.Uint32(p) {
	case classChannel<<16 | channelClose:
		w.mu.Lock()
		w.halted = true // nothing may follow the library's answer
		w.mu.Unlock()
		return false
	case classBasic<<16 | basicAck, classBasic<<16 | basicNack:
		if len(p) < 13 {
			return false
		}
		w.listen.confirmed(binary.BigEndian.Uint64(p[4:]), p[12]&1 != 0, p[3] == basicAck)
		return true
	case classBasic<<16 | basicReturn:
		r := &returned{}
		if len(p) >= 7 && len(p) >= 7+int(p[6]) {
			r.code, r.text = binary.BigEndian.Uint16(p[4:]), string(p[7:7+int(p[6])])
		}
		w.returning = r
		return true
	}
	return false
}
