// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"strconv"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdssdk"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// batchReader is what it takes to convert DeepStream's batches of frames.
type batchReader struct {
	sdk    *nvdssdk.SDK // found at the first batch
	reader nvdsmeta.Reader
	writer nvdssdk.Writer
	frame  nvdsmeta.Frame            // that is being converted
	each   func(nvdsmeta.Frame) bool // convertFrame as a value, made once
	warned time.Time

	batch     uintptr // to which payloads go, when they go to no frame
	scene     event.Scene
	ofScene   bool        // the payloads are of scene
	eachScene func() bool // convertScene as a value, made once
	told      bool        // that the schema has no place for scenes

	locked   bool           // by us
	warnings []batchWarning // for when it is not
	done     int            // frames or scenes that were gone through
	out      int            // bytes of their messages
	full     bool           // there were more
}

type batchWarning struct {
	code gst.ErrorCode
	text string
}

// maxLater is how many warnings of a batch are kept: the others say the same.
const maxLater = 16

// later keeps a warning until the batch's lock is given back: whoever hears of it may wait for another thread that wants
// the same batch.
func (n *batchReader) later(code gst.ErrorCode, text string) {
	if len(n.warnings) < maxLater {
		n.warnings = append(n.warnings, batchWarning{code, text})
	}
}

// maxOut is what the messages of a batch may be together, in bytes: broken metadata can ask for more than there is memory.
const maxOut = 1 << 30

// room reports whether another message may be made of the batch.
func (n *batchReader) room(size int) bool {
	if n.full = n.full || n.out+size > maxOut; !n.full {
		n.out += size
	}
	return !n.full
}

// take keeps a payload for the frame or the batch that is being converted.
func (n *batchReader) take(p *nvdssdk.Payload) {
	if n.frame.Addr != 0 {
		n.writer.Add(p, n.frame)
	} else {
		n.writer.AddToBatch(p, n.batch, n.ofScene)
	}
}

// convertBatch converts every frame of DeepStream's batch on b. The payloads
// go to the frames' metas, under the batch's lock, so that the SDK's elements
// find them, or are put out (Generate mode).
func (c *converter) convertBatch(b gst.Buffer, batch uintptr) gst.FlowReturn {
	c.refresh()
	n := &c.nvds
	if n.sdk == nil {
		sdk, err := nvdssdk.Open(b)
		if err != nil {
			c.Error(gst.LibraryFailed, "msgconv: DeepStream's metadata cannot be read: "+err.Error()+".", "")
			return gst.FlowError
		}
		n.sdk, n.reader.Layout = sdk, sdk.Layout
		log.Log(gst.LevelInfo, c.Element, "metadata of DeepStream %v, told by %s", sdk.Release, sdk.Source)
	}
	if err := n.fits(batch); err != nil {
		c.Error(gst.LibraryFailed, "msgconv: the metadata of this stream is not that of DeepStream "+n.sdk.Release.String()+
			" (told by "+n.sdk.Source+"): "+err.Error()+". A process must use the libraries of one release.", "")
		return gst.FlowError
	}
	attached, err := c.convertLocked(b, batch)
	c.flushDebug()
	for _, w := range n.warnings {
		c.Warning(w.code, w.text, "")
	}
	n.warnings = n.warnings[:0]
	if !attached {
		c.noUserMeta()
		return gst.FlowError
	}
	switch {
	case err != nil:
		c.warnBatch("a batch of frames is given up after " + strconv.Itoa(n.done) + " of them: its metadata is broken: " + err.Error())
	case n.full:
		c.warnBatch("the messages of a batch are more than 1 GiB together; those beyond are left out")
	case n.reader.Broken():
		c.warnBatch("the metadata of a batch has a list that runs in a circle, or is beyond all measure; it was cut")
	}
	return gst.FlowOK
}

func (c *converter) noUserMeta() {
	c.Error(gst.ResourceFailed, "msgconv: DeepStream gives no user meta for a message: its pool of them is used up, or there is no memory. "+
		"Look for an element or a probe that takes user metas from the batch and never adds them, or for batches that nobody frees.", "")
}

func (n *batchReader) fits(batch uintptr) (err error) {
	if broken := nvdsmeta.Guard(func() { err = n.sdk.Layout.Fits(batch) }); broken != nil {
		return broken
	}
	return err
}

// convertLocked keeps the batch's lock from the first look to the last payload:
// what is read are views, and other branches behind a tee have the same batch.
func (c *converter) convertLocked(b gst.Buffer, batch uintptr) (attached bool, err error) {
	n := &c.nvds
	nvdssdk.Lock(batch)
	defer nvdssdk.Unlock(batch)
	n.locked, n.done, n.out, n.full = true, 0, 0, false
	defer func() { n.locked = false }()
	n.writer.Reset()
	c.buffer = b
	err = nvdsmeta.Guard(func() {
		if n.reader.HasScenes(batch) {
			c.convertScenes(batch)
		} else {
			n.reader.Frames(batch, n.each)
		}
	})
	c.buffer, n.frame, n.batch, n.ofScene = gst.Buffer{}, nvdsmeta.Frame{}, 0, false
	return n.writer.Attach(n.sdk, batch), err
}

// convertFrame converts one frame of c.buffer's batch.
func (c *converter) convertFrame(frame nvdsmeta.Frame) bool {
	if c.cur.newAPI {
		if !payload.Due(frame.Num(), c.cur.frameInterval) {
			return true
		}
		if frame.Audio && !c.flat() {
			return true // the other schemas describe objects in a picture
		}
	}
	n, f := &c.nvds, &c.frame
	f.Reset()
	n.reader.Head(frame, f)
	if f.Time.IsZero() { // the clock gave none
		f.Time = time.Now()
	}
	if c.cur.sensorID != "" {
		f.SensorID = c.cur.sensorID
	}
	if c.cur.newAPI {
		if f.Time.UnixNano() == 0 {
			f.Time = time.Now()
		}
		n.reader.Objects(frame, f)
		for i := range f.Objects {
			o := &f.Objects[i]
			o.Label = c.labels.name(o.Label, o.ClassID, true)
		}
	} else {
		n.reader.Events(frame, c.cur.compID, f)
	}
	if c.selection.Apply(f) {
		n.frame = frame
		c.encode(c.buffer)
	}
	n.done++
	return true
}

// stop forgets what belongs to one run.
func (n *batchReader) stop() { n.sdk, n.told = nil, false }

// warnBatch posts a warning, at most once a second.
func (c *converter) warnBatch(text string) {
	if now := time.Now(); now.Sub(c.nvds.warned) >= time.Second {
		c.nvds.warned = now
		c.Warning(gst.StreamFormat, "msgconv: "+text+".", "")
	}
}
