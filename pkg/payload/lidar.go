// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// ContentTypeLidar is what a lidar message with points is: JSON and protobuf in one.
const ContentTypeLidar = "application/octet-stream"

// Field numbers of ds3dmsg.LidarPointCloud and its Point.
const (
	cloudPoints = 1

	pointX, pointY, pointZ, pointIntensity = 1, 2, 3, 4
)

// EncodeLidar hands out the message of a lidar's reading, of which f tells source and sensor. In the minimal
// schema that is JSON, in the protobuf schema the same JSON and, right behind it, the first points of the
// point cloud as ds3dmsg.LidarPointCloud. There is none where nothing was detected (and there are no points),
// and none in the other schemas: all as in the reference.
//
// Numbers in the strings have six significant digits. The intensity of points that have none is 1.
func (e *Encoder) EncodeLidar(f *event.Frame, l *event.Lidar, emit func(Payload)) {
	if e.opts.Type != Minimal && e.opts.Type != Protobuf {
		return
	}
	w := &e.w
	w.reset()
	count := len(l.Objects2D) + len(l.Objects3D) + len(l.Fused)
	if count > 0 {
		w.lidar(l)
	}
	contentType := ContentTypeJSON
	if e.opts.Type == Protobuf {
		contentType = ContentTypeLidar
		w.buf = appendPoints(w.buf, l.Points, l.PointSize)
	}
	if len(w.buf) == 0 {
		return
	}
	sensor := e.lidarSensor(f)
	emit(Payload{Data: w.buf, SensorID: sensor, ContentType: contentType, Count: count,
		Fields: e.fields(f, nil, nil, sensor)})
}

// lidarSensor is not in the message: it is the usual key of partitions alone.
func (e *Encoder) lidarSensor(f *event.Frame) string {
	if e.opts.Static != nil {
		if s, ok := e.opts.Static.Sensors[f.Source]; ok {
			return s.ID
		}
	}
	return f.SensorID
}

func (w *writer) lidar(l *event.Lidar) {
	w.openObject()
	w.key("version")
	w.raw(`"ds3d/1.0"`)
	if l.HasStamp {
		w.key("datamap@timestamp")
		w.buf = append(w.buf, '"')
		w.buf = strconv.AppendUint(w.buf, l.Stamp, 10)
		w.buf = append(w.buf, '"')
	}
	if l.Has2D {
		w.key("2d_objects")
		w.openArray()
		for i := range l.Objects2D {
			w.element()
			w.flat(&l.Objects2D[i])
		}
		w.closeArray()
	}
	if l.Has3D {
		w.key("3d_objects")
		w.openArray()
		for i := range l.Objects3D {
			w.element()
			w.box3D(&l.Objects3D[i])
		}
		w.closeArray()
	}
	if l.HasFused {
		w.key("fusion_results")
		w.openArray()
		for i := range l.Fused {
			o := &l.Fused[i]
			w.element()
			w.openObject()
			w.key("2d")
			w.flat(&o.Flat)
			w.key("3d")
			w.box3D(&o.Box3D)
			w.key("score")
			w.double(float64(o.Score))
			w.closeObject()
		}
		w.closeArray()
	}
	w.closeObject()
}

// flat writes x|y|width|height|score|label.
func (w *writer) flat(o *event.Flat) {
	w.numbers(o.X, o.Y, o.DX, o.DY, o.Score)
	w.closeLabel(o.Label)
}

// box3D writes x|y|z|length|width|height|score|label.
func (w *writer) box3D(o *event.Box3D) {
	w.numbers(o.X, o.Y, o.Z, o.DX, o.DY, o.DZ, o.Score)
	w.closeLabel(o.Label)
}

// numbers opens a string of them.
func (w *writer) numbers(list ...float32) {
	w.buf = append(w.buf, '"')
	for i, f := range list {
		if i > 0 {
			w.bar()
		}
		w.buf = appendG32(w.buf, f)
	}
}

func (w *writer) closeLabel(label string) {
	w.field(label)
	w.buf = append(w.buf, '"')
}

// appendPoints appends a LidarPointCloud: for each point its key and size, and then its numbers, but those that
// are zero.
func appendPoints(b []byte, points []float32, size int) []byte {
	if size < 3 {
		return b
	}
	for ; len(points) >= size; points = points[size:] {
		var start int
		b, start = begin(b, cloudPoints)
		b = appendNumber(b, pointX, points[0])
		b = appendNumber(b, pointY, points[1])
		b = appendNumber(b, pointZ, points[2])
		if size == 4 {
			b = appendNumber(b, pointIntensity, points[3])
		} else {
			b = append(b, tag(pointIntensity, protowire.Fixed32Type))
			b = protowire.AppendFixed32(b, math.Float32bits(1))
		}
		b = end(b, start)
	}
	return b
}
