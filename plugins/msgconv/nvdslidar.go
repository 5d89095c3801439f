// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"errors"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdssdk"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// lidarReader is what it takes to convert the data maps of DeepStream's ds3d components.
type lidarReader struct {
	on      bool              // the stream is one of data maps
	maps    *nvdssdk.DataMaps // opened at the first buffer
	names   *dsconfig.DataMap // nil: the usual ones
	reading event.Lidar
	problem error // what could not be read
	warned  time.Time
}

func (l *lidarReader) start(static *dsconfig.Static) {
	if static != nil {
		l.names = static.DataMap
	}
}

func (l *lidarReader) stop() {
	if l.maps != nil {
		l.maps.Close()
	}
	*l = lidarReader{}
}

// setLidar tells by the caps whether the stream is one of data maps, as the reference does.
func (c *converter) setLidar(on bool, caps gst.Caps) {
	c.lidar.on = on
	c.SetSkips(!on && !c.cur.newAPI && !c.cur.dummy)
	if on && c.space() == nil && c.cur.payloadType != typeReserved { // of that one is told already
		c.Warning(gst.StreamWrongType, "msgconv: the stream is "+caps.Name(0)+", for which this payload-type or library has no schema: it passes without messages. "+
			"Use PAYLOAD_DEEPSTREAM_MINIMAL (JSON) or PAYLOAD_DEEPSTREAM_PROTOBUF (JSON and points).", "")
	}
}

// flat reports whether the schema is one of those with a message per frame.
func (c *converter) flat() bool {
	return c.selection.Type == payload.Minimal || c.selection.Type == payload.Protobuf
}

// convertLidar converts the data map of b. Its message goes to the batch of b's metadata, which is made where
// there is none, or is put out (Generate mode). Every buffer counts, whatever msg2p-newapi and frame-interval
// say, as in the reference.
func (c *converter) convertLidar(b gst.Buffer) gst.FlowReturn {
	c.refresh()
	c.count++
	if c.space() == nil {
		return gst.FlowOK
	}
	l := &c.lidar
	if l.maps == nil {
		if l.names == nil {
			l.names = dsconfig.NewDataMap()
		}
		var err error
		if l.maps, err = nvdssdk.OpenDataMaps([4]string{
			nvdssdk.Objects2D: l.names.Objects2D, nvdssdk.Objects3D: l.names.Objects3D, nvdssdk.Fused: l.names.Fused, nvdssdk.Points: l.names.Points,
		}); err != nil {
			l.maps = nil
			c.Error(gst.LibraryFailed, "msgconv: DeepStream's data maps cannot be read: "+err.Error(), "")
			return gst.FlowError
		}
	}
	err := l.maps.Read(b)
	defer l.maps.Done()
	if errors.Is(err, nvdssdk.ErrStrange) {
		c.Error(gst.LibraryFailed, "msgconv: DeepStream's data maps cannot be read: "+err.Error(), "")
		return gst.FlowError
	}
	flow := gst.FlowOK
	if err == nil {
		l.problem = nil
		if err = nvdsmeta.Guard(func() { flow = c.convertReading(b) }); err == nil {
			err = l.problem
		}
		c.buffer, c.nvds.batch = gst.Buffer{}, 0
		c.flushDebug() // what a fault has left there
	}
	if now := time.Now(); err != nil && now.Sub(l.warned) >= time.Second {
		l.warned = now
		c.Warning(gst.StreamFormat, "msgconv: a lidar's data map is not converted, or not all of it: "+err.Error()+".", "")
	}
	return flow
}

// convertReading converts what the data map holds: views, which end with it.
func (c *converter) convertReading(b gst.Buffer) gst.FlowReturn {
	l, r, f := &c.lidar, &c.lidar.reading, &c.frame
	l.read(c.cur.payloadType == typeProtobuf)
	if len(r.Objects2D)+len(r.Objects3D)+len(r.Fused)+len(r.Points) == 0 {
		return gst.FlowOK
	}
	f.Reset()
	f.Num = c.count - 1 + *c.skipped
	f.Source, f.SensorID, f.Time = int(c.cur.sourceID), c.cur.sensorID, lidarTime(r)
	c.buffer = b
	if c.jsonMode {
		c.space().EncodeLidar(f, r, c.emit)
		c.encoded()
		return gst.FlowOK
	}
	batch, sdk, err := l.maps.Batch(b)
	if err != nil {
		c.Error(gst.LibraryFailed, "msgconv: a message cannot be attached: "+err.Error(), "")
		return gst.FlowError
	}
	c.nvds.writer.Reset()
	c.nvds.batch = batch
	c.space().EncodeLidar(f, r, c.emit)
	c.encoded()
	nvdssdk.Lock(batch)
	attached := c.nvds.writer.Attach(sdk, batch)
	nvdssdk.Unlock(batch)
	if !attached {
		c.noUserMeta()
		return gst.FlowError
	}
	return gst.FlowOK
}

// read fills the reading. An entry that cannot be read is left out, and told.
func (l *lidarReader) read(points bool) {
	r := &l.reading
	r.Reset()
	r.Stamp, r.HasStamp = l.maps.Stamp()
	if base, n, ok := l.records(nvdssdk.Objects2D, nvdsmeta.FlatSize); ok {
		r.Has2D, r.Objects2D = true, nvdsmeta.Flats(base, n, r.Objects2D)
	}
	if base, n, ok := l.records(nvdssdk.Objects3D, nvdsmeta.Box3DSize); ok {
		r.Has3D, r.Objects3D = true, nvdsmeta.Boxes3D(base, n, r.Objects3D)
	}
	if base, n, ok := l.records(nvdssdk.Fused, nvdsmeta.FusedSize); ok {
		r.HasFused, r.Fused = true, nvdsmeta.Fused(base, n, r.Fused)
	}
	if !points {
		return
	}
	base, n, size, err := l.maps.Numbers(nvdssdk.Points, l.names.MaxPoints)
	if err == nil && n > 0 && size < 3 {
		err = errors.New("its points have less than three numbers")
	}
	if err != nil {
		l.problem = err
		return
	}
	r.Points, r.PointSize = nvdsmeta.Floats(base, n*size), size
}

func (l *lidarReader) records(entry, size int) (base uintptr, n int, ok bool) {
	base, n, err := l.maps.Records(entry, size)
	if err != nil {
		l.problem = err
	}
	return base, n, err == nil && l.maps.Has(entry)
}

// lidarTime is when the data was measured, if its stamp is one of the wall clock: some sources count from their
// start.
func lidarTime(r *event.Lidar) time.Time {
	const year2000, year2200 = 946684800 * 1e9, 7258118400 * 1e9
	if r.HasStamp && r.Stamp >= year2000 && r.Stamp < year2200 {
		return time.Unix(0, int64(r.Stamp))
	}
	return time.Now()
}
