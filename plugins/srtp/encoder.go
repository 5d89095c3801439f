// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

/*
#include "engine.h"
*/
import "C"

import (
	"crypto/subtle"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// Kind says what a sink pad of an Encoder takes.
type Kind int

// The kinds. RTP pads take RTCP too, which they know by its packet type (RFC 5761).
const (
	KindRTP  Kind = C.EW_KIND_RTP
	KindRTCP Kind = C.EW_KIND_RTCP
)

// How much of a sink pad's media is held before there is a key; then the oldest goes.
const (
	maxHeldToSend      = 512
	maxHeldToSendBytes = 1 << 20
)

// EncoderOptions of an Encoder.
type EncoderOptions struct {
	// Log is the element's debug category.
	Log *gst.Category
	// AllEOS is called when every sink pad and the data side, if there is one,
	// have had EOS, on a streaming thread or on the thread that released the last
	// pad without. It must not block. nil: EOS goes downstream by itself.
	AllEOS func()
	// SoftLimit is called once per SSRC when its key nears its limit (RFC 3711
	// section 9.2), on a streaming thread.
	SoftLimit func(ssrc uint32)
	// ReplayWindow is how far out of order packets may be, 64 to 32768, 0 for 128.
	ReplayWindow int
	// AllowRepeatTx lets the same packet be sent again, if it is the same to the byte.
	AllowRepeatTx bool
}

// Encoder protects what comes in on its sink pads and sends it on the element's
// source pad.
type Encoder struct {
	e      *gst.Element
	src    *gst.Pad
	o      EncoderOptions
	c      *C.EwEnc
	handle uintptr

	// Lock order: keyMu, then mu. keyMu orders changes of keys; it may be held
	// while held media is pushed, and no pad function takes it.
	keyMu  sync.Mutex
	policy crypto.Policy
	key    []byte
	child  unsafe.Pointer // the standard srtpenc, nil for our own

	// mu is read-locked while packets are protected, so that a new sender takes
	// over where the old one is.
	mu     sync.RWMutex
	sender *crypto.Sender // nil: no key
	closed atomic.Bool
}

// NewEncoder makes the engine of an element; src is its source pad. Close it in
// the element's Finalize.
func NewEncoder(e *gst.Element, src *gst.Pad, o EncoderOptions) *Encoder {
	enc := &Encoder{e: e, src: src, o: o}
	enc.handle = gst.NewHandle(enc)
	enc.c = C.ew_enc_new(C.gpointer(e.Pointer()), C.gpointer(src.Pointer()), C.gpointer(o.Log.Pointer()), C.uintptr_t(enc.handle))
	return enc
}

// NewSink makes a sink pad from one of the class's templates, to be put on the
// element by AddPad.
func (enc *Encoder) NewSink(template, name string, k Kind) *gst.Pad {
	p := enc.e.NewPad(template, name, gst.PadFuncs{})
	C.ew_enc_add_sink(enc.c, C.gpointer(p.Pointer()), C.guint(k), maxHeldToSend, maxHeldToSendBytes)
	return p
}

// ReleaseSink takes a sink pad off the element. It does not wait for a push that
// is blocked downstream.
func (enc *Encoder) ReleaseSink(p *gst.Pad) {
	pad := p.Pointer()
	if pad == nil {
		return
	}
	last := C.ew_enc_remove_sink(enc.c, C.gpointer(pad)) != 0
	C.ew_enc_unblock_remove(C.gpointer(enc.e.Pointer()), C.gpointer(pad))
	if last {
		enc.allEOS()
	}
}

// SetKeys gives the master key, followed by the master salt, with which to protect
// from now on; what was held goes out under it. A policy that protects nothing
// needs none. With fresh, a new association begins, whose roll-over counters the
// peer expects at 0: as after a DTLS handshake. Otherwise it is a re-keying within
// one, which they outlive (RFC 3711 section 3.3.1). The same policy and key again
// never begin afresh: keystream would be used twice.
func (enc *Encoder) SetKeys(p crypto.Policy, keyAndSalt []byte, fresh bool) error {
	enc.keyMu.Lock()
	defer enc.keyMu.Unlock()
	if p == (crypto.Policy{}) {
		enc.swap(nil)
		enc.policy, enc.key = p, nil
		C.ew_enc_set_keys(enc.c, C.EW_KEYS_PLAIN)
		return nil
	}
	s, err := crypto.NewSender(p, keyAndSalt, crypto.Options{
		SoftLimit: enc.o.SoftLimit, ReplayWindow: enc.o.ReplayWindow, AllowRepeatTx: enc.o.AllowRepeatTx,
	})
	if err != nil {
		return err
	}
	if enc.child != nil {
		setStandardKey(enc.child, p, keyAndSalt, enc.o)
	}
	if p == enc.policy && subtle.ConstantTimeCompare(keyAndSalt, enc.key) == 1 {
		fresh = false
	}
	enc.mu.Lock()
	if !fresh && enc.sender != nil {
		s.Inherit(enc.sender)
	}
	enc.sender = s
	enc.mu.Unlock()
	enc.policy, enc.key = p, append([]byte(nil), keyAndSalt...)
	C.ew_enc_set_keys(enc.c, C.EW_KEYS_SET)
	return nil
}

// ClearKeys forgets the keys, and what they have protected: media is held again.
// The same key must not be set again afterwards, unless its sequence numbers or
// SSRCs are others by then.
func (enc *Encoder) ClearKeys() {
	enc.keyMu.Lock()
	defer enc.keyMu.Unlock()
	C.ew_enc_set_keys(enc.c, C.EW_KEYS_NONE)
	enc.swap(nil)
	clear(enc.key)
	enc.policy, enc.key = crypto.Policy{}, nil
}

func (enc *Encoder) swap(s *crypto.Sender) {
	enc.mu.Lock()
	defer enc.mu.Unlock()
	enc.sender = s
}

// SetSync sets whether buffers wait for their running time on the pipeline's clock.
func (enc *Encoder) SetSync(on bool) { C.ew_enc_set_sync(enc.c, gboolean(on)) }

// SetDataSink tells whether the element has a data sink pad, whose EOS counts too.
func (enc *Encoder) SetDataSink(present bool) { C.ew_enc_set_data(enc.c, gboolean(present)) }

// DataEOS tells that the data sink pad has had EOS.
func (enc *Encoder) DataEOS() { C.ew_enc_data_eos(enc.c) }

// PushData sends a datagram of the DTLS side, from any goroutine.
func (enc *Encoder) PushData(datagram []byte) gst.FlowReturn {
	return gst.FlowReturn(C.ew_enc_push_data(enc.c, (*C.guint8)(unsafe.SliceData(datagram)), C.gsize(len(datagram))))
}

// PushEOS sends EOS downstream, once for a stream, from any goroutine.
func (enc *Encoder) PushEOS() { C.ew_enc_push_eos(enc.c) }

// Before is to be called before the parent's state change.
func (enc *Encoder) Before(t gst.StateChange) {
	switch t {
	case gst.PausedToPlaying:
		C.ew_enc_set_blocked(enc.c, C.FALSE)
	case gst.ReadyToPaused, gst.PlayingToPaused:
		C.ew_enc_set_blocked(enc.c, C.TRUE)
	}
}

// After is to be called after the parent's state change, when that has not failed.
func (enc *Encoder) After(t gst.StateChange) {
	if t == gst.PausedToReady {
		C.ew_enc_reset(enc.c)
	}
}

// Stats is what was counted since the element was made.
func (enc *Encoder) Stats() Stats {
	return readStats(uint64(C.ew_enc_held(enc.c)), func(i C.guint) C.guint64 { return C.ew_enc_count(enc.c, i) })
}

// Streams lists the SSRCs that were sent under the present key.
func (enc *Encoder) Streams() []crypto.StreamInfo {
	enc.mu.RLock()
	s := enc.sender
	enc.mu.RUnlock()
	if s == nil {
		return nil
	}
	return s.Streams()
}

// Close ends the engine, in the element's Finalize. Nothing else may be called afterwards.
func (enc *Encoder) Close() {
	if enc.closed.Swap(true) {
		return
	}
	gst.DropHandle(enc.handle)
	C.ew_enc_free(enc.c)
	enc.swap(nil)
	clear(enc.key)
}

func (enc *Encoder) allEOS() {
	if enc.o.AllEOS != nil {
		enc.o.AllEOS()
		return
	}
	enc.PushEOS()
}

// protect runs on a streaming thread, once for a buffer or up to 64 of a list.
func (enc *Encoder) protect(packets []C.EwPacket) {
	enc.mu.RLock()
	defer enc.mu.RUnlock()
	for i := range packets {
		p := &packets[i]
		if enc.sender == nil { // cleared this moment
			p.out_len = -C.EW_COUNT_BEFORE_KEY
			continue
		}
		in, out := bytesOf(p)
		var n int
		var err error
		if p.kind == C.EW_KIND_RTCP {
			n, err = enc.sender.ProtectRTCP(out, in)
		} else {
			n, err = enc.sender.ProtectRTP(out, in)
		}
		setResult(p, n, err)
	}
}

func gboolean(b bool) C.gboolean {
	if b {
		return C.TRUE
	}
	return C.FALSE
}
