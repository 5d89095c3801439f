// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"strconv"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// A spaceEncoder makes messages of more than pictures. Encoders of schemas of somebody's own need not.
type spaceEncoder interface {
	EncodeScene(f *event.Frame, s *event.Scene, emit func(payload.Payload))
	EncodeLidar(f *event.Frame, l *event.Lidar, emit func(payload.Payload))
}

// space is the encoder, if the schema has a place for lidars and 3D boxes.
func (c *converter) space() spaceEncoder {
	if !c.flat() {
		return nil
	}
	s, _ := any(c.encoder).(spaceEncoder)
	return s
}

// convertScenes converts the lists of 3D boxes of a batch: a message each, which goes to the batch. comp-id and
// frame-interval do not select among them, as in the reference.
func (c *converter) convertScenes(batch uintptr) {
	n := &c.nvds
	if c.space() == nil {
		if !n.told {
			n.told = true
			c.tell(gst.StreamFormat, "msgconv: the stream has lists of 3D boxes (Sparse4D), for which this payload-type or library has no schema. They pass without "+
				"messages, and the frames beside them too. Use PAYLOAD_DEEPSTREAM_MINIMAL or PAYLOAD_DEEPSTREAM_PROTOBUF.")
		}
		return
	}
	n.batch, n.ofScene = batch, true
	n.reader.Scenes(batch, &c.frame, &n.scene, n.eachScene)
}

// convertScene converts the scene that was read.
func (c *converter) convertScene() bool {
	f, s := &c.frame, &c.nvds.scene
	f.SensorID = c.cur.sensorID
	if f.Time.IsZero() {
		f.Time = time.Now()
	}
	for i := range s.Objects {
		o := &s.Objects[i]
		if name := c.labels.name(o.Label, 0, false); name != o.Label {
			o.Name = name
		}
	}
	c.space().EncodeScene(f, s, c.emit)
	c.encoded()
	c.nvds.done++
	return true
}

// viewsWanted reports whether the application has the cameras' times in its lists, and wants them in the messages:
// deepstream-test5 looks at the same variable.
func viewsWanted() bool {
	n, err := strconv.Atoi(strings.TrimSpace(gst.Getenv("SPARSE4D_DEBUG_TS")))
	return err == nil && n == 1
}

// warnType says at start what a payload type without a schema does.
func (c *converter) warnType() {
	if c.cur.payloadType == typeReserved && !c.cur.usesLibrary() {
		c.Warning(gst.LibrarySettings, "msgconv: payload-type=PAYLOAD_RESERVED stands for no schema: the stream passes without messages. "+
			"Use PAYLOAD_DEEPSTREAM, PAYLOAD_DEEPSTREAM_MINIMAL or PAYLOAD_DEEPSTREAM_PROTOBUF.", "")
	}
}
