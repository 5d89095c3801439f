// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlsside

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
)

// DataPad is the request pad on which decrypted application data leaves. Its
// pushes come from a goroutine of the connection.
type DataPad struct {
	e   *gst.Element
	log *gst.Category

	// Lock order: mu is taken alone, never held across a push.
	mu      sync.Mutex
	pad     *gst.Pad
	started bool // stream-start and segment are out, and no EOS after them
	lost    uint64
}

// Init binds the pad to its element.
func (d *DataPad) Init(e *gst.Element, log *gst.Category) { d.e, d.log = e, log }

// Request makes the pad; there can be one.
func (d *DataPad) Request(template string) *gst.Pad {
	d.mu.Lock()
	taken := d.pad != nil
	d.mu.Unlock()
	if taken {
		d.log.Log(gst.LevelWarning, d.e, "there is a %s pad already: the data of a connection leaves by one pad", template)
		return nil
	}
	p := d.e.NewPad(template, template, gst.PadFuncs{})
	d.mu.Lock()
	if taken = d.pad != nil; !taken { // another thread may have been faster
		d.pad, d.started = p, false
	}
	d.mu.Unlock()
	if taken {
		return nil
	}
	if !d.e.AddPad(p) {
		d.mu.Lock()
		d.pad = nil
		d.mu.Unlock()
		return nil
	}
	return p
}

// Release takes the pad off.
func (d *DataPad) Release(p *gst.Pad) {
	d.mu.Lock()
	if d.pad == p {
		d.pad = nil
	}
	d.mu.Unlock()
	p.Cut(CutAfter)
	d.e.RemovePad(p)
}

// CutAfter is how long a stop or a release waits for a push that downstream blocks.
const CutAfter = 200 * time.Millisecond

// Stop ends a push that downstream blocks: the pad is about to be deactivated.
func (d *DataPad) Stop() {
	d.mu.Lock()
	p := d.pad
	d.mu.Unlock()
	if p != nil {
		p.Cut(CutAfter)
	}
}

// Reset forgets that the stream has begun: the pad was deactivated or flushed.
func (d *DataPad) Reset() {
	d.mu.Lock()
	d.started = false
	d.mu.Unlock()
}

// begin gives the pad, with the events of a beginning out.
func (d *DataPad) begin() *gst.Pad {
	d.mu.Lock()
	p, first := d.pad, !d.started
	d.started = d.started || p != nil
	d.mu.Unlock()
	if p != nil && first && !p.PushStart(fmt.Sprintf("dtlsdec-%08x", rand.Uint32()), "") {
		d.Reset()
		return nil
	}
	return p
}

// Push pushes one record. Without a pad the data has nobody to go to.
func (d *DataPad) Push(record []byte) {
	p := d.begin()
	if p == nil {
		d.mu.Lock()
		if d.pad == nil {
			d.lost++
		}
		d.mu.Unlock()
		return
	}
	if ret := p.PushLocked(gst.NewBuffer(record)); ret != gst.FlowOK && ret != gst.FlowFlushing {
		d.log.Log(gst.LevelDebug, d.e, "data of %d bytes: downstream answers %d", len(record), ret)
	}
}

// EOS ends the stream. Data of a session that comes later begins another.
func (d *DataPad) EOS() {
	if p := d.begin(); p != nil {
		p.PushEventLocked(gst.NewEOS())
		d.Reset()
	}
}

// Fields are those of stats: how many records found no pad.
func (d *DataPad) Fields() []gst.Field {
	d.mu.Lock()
	defer d.mu.Unlock()
	return []gst.Field{{Name: "dropped-unlinked", Value: d.lost}}
}
