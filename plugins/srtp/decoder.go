// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

/*
#include "engine.h"
*/
import "C"

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// How much SRTP is held before there is a key; then the oldest goes.
const (
	maxHeldToOpen      = 256
	maxHeldToOpenBytes = 512 << 10
)

// DecoderOptions of a Decoder.
type DecoderOptions struct {
	// Log is the element's debug category.
	Log *gst.Category
	// DTLS gets each DTLS datagram, valid during the call, on the streaming thread;
	// it must not block. What it answers goes upstream. nil: they are dropped and
	// counted.
	DTLS func(datagram []byte) gst.FlowReturn
	// Event sees each event of the sink pad, before it goes to the source pads of
	// the Decoder (not to others that the element has), on the streaming thread;
	// the event stays the caller's. At EOS it may wait for the DTLS side: what
	// was held still goes before the EOS if keys come by that. It may be nil.
	Event func(gst.Event)
	// Alive is called, on the streaming thread, when a packet has authenticated,
	// at most once for each crossing. It must cost nothing. It may be nil.
	Alive func()
	// SoftLimit is called once per SSRC when its key nears its limit (RFC 3711
	// section 9.2), on the streaming thread.
	SoftLimit func(ssrc uint32)
	// ReplayWindow, in packets, 64 to 32768, 0 for 128.
	ReplayWindow int
}

// Decoder opens what comes in on the element's sink pad.
type Decoder struct {
	e      *gst.Element
	o      DecoderOptions
	c      *C.EwDec
	handle uintptr

	// Lock order: keyMu, then mu. keyMu orders changes of keys; it may be held
	// while held media is pushed, and no pad function takes it.
	keyMu  sync.Mutex
	child  unsafe.Pointer // the standard srtpdec, nil for our own
	mu     sync.Mutex
	ring   keyring
	closed atomic.Bool
}

// NewDecoder makes the engine of an element and takes its sink pad over, which has
// no functions of its own yet. Close it in the element's Finalize.
func NewDecoder(e *gst.Element, sink, rtpSrc, rtcpSrc *gst.Pad, o DecoderOptions) *Decoder {
	d := &Decoder{e: e, o: o}
	d.handle = gst.NewHandle(d)
	d.c = C.ew_dec_new(C.gpointer(e.Pointer()), C.gpointer(sink.Pointer()), C.gpointer(rtpSrc.Pointer()),
		C.gpointer(rtcpSrc.Pointer()), C.gpointer(o.Log.Pointer()), C.uintptr_t(d.handle), maxHeldToOpen, maxHeldToOpenBytes)
	return d
}

// SetKeys gives the peer's master key, followed by the master salt. What was held
// is opened with it. The keys before it stay good until the peer has changed and
// what it had sent is in. fresh is as in Encoder.SetKeys; here it is the first
// guess only, a peer that does the other is understood as well. A policy that
// protects nothing needs no key: media passes as it is.
func (d *Decoder) SetKeys(p crypto.Policy, keyAndSalt []byte, fresh bool) error {
	d.keyMu.Lock()
	defer d.keyMu.Unlock()
	if p == (crypto.Policy{}) {
		d.mu.Lock()
		d.ring.clear()
		d.mu.Unlock()
		C.ew_dec_set_keys(d.c, C.EW_KEYS_PLAIN)
		return nil
	}
	d.mu.Lock()
	err := d.ring.add(p, keyAndSalt, fresh, crypto.Options{SoftLimit: d.o.SoftLimit, ReplayWindow: d.o.ReplayWindow})
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if d.child != nil {
		d.setStandardKey(p, keyAndSalt)
	}
	C.ew_dec_set_keys(d.c, C.EW_KEYS_SET)
	return nil
}

// ClearKeys forgets all keys: media is held again.
func (d *Decoder) ClearKeys() {
	d.keyMu.Lock()
	defer d.keyMu.Unlock()
	C.ew_dec_set_keys(d.c, C.EW_KEYS_NONE)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ring.clear()
}

// PushEOS sends EOS on both source pads, from any goroutine.
func (d *Decoder) PushEOS() { C.ew_dec_push_eos(d.c) }

// Before is to be called before the parent's state change.
func (d *Decoder) Before(gst.StateChange) {}

// After is to be called after the parent's state change, when that has not failed.
func (d *Decoder) After(t gst.StateChange) {
	if t == gst.PausedToReady {
		C.ew_dec_reset(d.c)
	}
}

// Stats is what was counted since the element was made.
func (d *Decoder) Stats() Stats {
	return readStats(uint64(C.ew_dec_held(d.c)), func(i C.guint) C.guint64 { return C.ew_dec_count(d.c, i) })
}

// Streams lists the SSRCs that were received under the present key.
func (d *Decoder) Streams() []crypto.StreamInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ring.keys) == 0 {
		return nil
	}
	return d.ring.keys[0].Streams()
}

// Close ends the engine, in the element's Finalize. Nothing else may be called afterwards.
func (d *Decoder) Close() {
	if d.closed.Swap(true) {
		return
	}
	gst.DropHandle(d.handle)
	C.ew_dec_free(d.c)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ring.clear()
}

// unprotect runs on the streaming thread, once for a buffer or up to 64 of a list.
func (d *Decoder) unprotect(packets []C.EwPacket) {
	if d.open(packets) && d.o.Alive != nil {
		d.o.Alive()
	}
}

// open reports whether any packet has authenticated.
func (d *Decoder) open(packets []C.EwPacket) (some bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range packets {
		p := &packets[i]
		in, out := bytesOf(p)
		n, err := d.ring.open(out, in, p.kind == C.EW_KIND_RTCP)
		setResult(p, n, err)
		some = some || err == nil
	}
	return some
}
