// SPDX-License-Identifier: LGPL-2.1-or-later

// Package msgconv is the element msgconv, which turns what was detected in a
// frame into messages. Interface mirrored: nvmsgconv of DeepStream 9.1.
// Documentation: docs/msgconv.md.
package msgconv

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdssdk"
	"github.com/gst-edgewire/gst-edgewire/internal/payloadmeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

var log = gst.NewCategory("msgconv", "metadata to messages")

// The payload types of nvmsgconv.
const (
	typeDeepstream gst.Enum = 0
	typeMinimal    gst.Enum = 1
	typeProtobuf   gst.Enum = 2
	typeReserved   gst.Enum = 256
	typeCustom     gst.Enum = 257
)

var payloadTypes = &gst.EnumType{
	Name: "GstMsgConvPayloadType",
	Values: []gst.EnumValue{
		{Value: int32(typeDeepstream), Name: "DeepStream's full JSON schema, a message per object", Nick: "PAYLOAD_DEEPSTREAM"},
		{Value: int32(typeMinimal), Name: "DeepStream's minimal JSON schema, a message per frame", Nick: "PAYLOAD_DEEPSTREAM_MINIMAL"},
		{Value: int32(typeProtobuf), Name: "DeepStream's protobuf schema, a message per frame", Nick: "PAYLOAD_DEEPSTREAM_PROTOBUF"},
		{Value: int32(typeReserved), Name: "Reserved; no message at all", Nick: "PAYLOAD_RESERVED"},
		{Value: int32(typeCustom), Name: "A schema of one's own (msg2p-lib, payload-template); without one a placeholder", Nick: "PAYLOAD_CUSTOM"},
	},
}

// settings are the properties. A running stream works on the copy that Start
// took; label-map and comp-id may change while it plays.
type settings struct {
	config, msg2pLib, debugDir, embeddingFilter string
	labelMap, sensorID, template                string
	payloadType                                 gst.Enum
	compID, frameInterval, sourceID, jsonIndent uint32
	multiple, newAPI, dummy                     bool
}

type converter struct {
	*gst.Element

	mu      sync.Mutex // guards set
	set     settings
	wanted  []string       // fields that were asked for since Start
	kind    kindOfTemplate // guarded by mu
	changed atomic.Bool    // set or wanted differs from what the stream works with

	// Of the streaming thread, between Start and Stop.
	cur       settings
	labels    labelMap
	encoder   encoder
	selection payload.Selection
	frame     event.Frame
	roi       roiReader
	nvds      batchReader
	lidar     lidarReader
	debug     *debugWriter
	failures  struct {
		told   time.Time // of the last warning
		untold uint64    // failures since
	}
	count         uint64  // frames since Start, without those in skipped
	skipped       *uint64 // C memory: frames since the element was made that were not worth a look
	width, height int
	jsonMode      bool
	pending       []gst.Buffer // Generate mode: payloads that wait to be pushed
	next          int          // of pending, to be pushed
	writer        payloadmeta.Writer
	emit          func(payload.Payload) // take as a value, made once
	buffer        gst.Buffer            // what is being converted
}

// Class describes the element.
var Class = class("GstMsgConv", payloadTypes)

// nvClass is the same element under DeepStream's names.
var nvClass = class("GstNvMsgConv", &gst.EnumType{Name: "GstNvMsgConvPayloadType", Values: payloadTypes.Values})

func class(name string, types *gst.EnumType) *gst.Class {
	return &gst.Class{
		Name:     name,
		Parent:   gst.ParentBaseTransform,
		LongName: "Message Converter",
		Klass:    "Filter/Metadata",
		Description: "Turns what was detected in a frame into messages: attaches them to the buffer for msgbroker, " +
			"or puts them out as application/json if downstream asks for it",
		Author: "The gst-edgewire maintainers",
		Pads: []gst.PadTemplate{
			{Name: "sink", Direction: gst.PadSink, Presence: gst.PadAlways, Caps: "ANY"},
			{Name: "src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "ANY"},
		},
		Properties: properties(types),
		Proto:      (*converter)(nil),
		New: func(e *gst.Element) any {
			e.SetInPlace()
			e.SetKeepShared(nvdssdk.KeepShared())
			c := &converter{Element: e, set: settings{frameInterval: 30}}
			c.skipped = e.SetSkip(noRegions())
			c.emit = c.take
			c.nvds.each = c.convertFrame
			c.nvds.eachScene = c.convertScene
			return c
		},
	}
}

// field makes getter and setter of a settings field, under the lock.
func field[V any](f func(*settings) *V) (func(*converter) V, func(*converter, V)) {
	return func(c *converter) V {
			c.mu.Lock()
			defer c.mu.Unlock()
			return *f(&c.set)
		}, func(c *converter, v V) {
			c.mu.Lock()
			defer c.mu.Unlock()
			*f(&c.set) = v
			c.changed.Store(true)
		}
}

func stringProp(name, blurb string, flags gst.PropFlags, f func(*settings) *string) gst.Property {
	get, set := field(f)
	return gst.StringProp(name, blurb, "", flags, get, set)
}

func uintProp(name, blurb string, low, high, def uint32, flags gst.PropFlags, f func(*settings) *uint32) gst.Property {
	get, set := field(f)
	return gst.UintProp(name, blurb, low, high, def, flags, get, set)
}

func boolProp(name, blurb string, f func(*settings) *bool) gst.Property {
	get, set := field(f)
	return gst.BoolProp(name, blurb, false, gst.MutableReady, get, set)
}

func properties(types *gst.EnumType) []gst.Property {
	getType, setType := field(func(s *settings) *gst.Enum { return &s.payloadType })
	return []gst.Property{
		stringProp("config", "File that describes sensors, places and analytics modules: a key file, or YAML or CSV by the ending .yml, .yaml or .csv. "+
			"Without it the full schema has null in their place", gst.MutableReady, func(s *settings) *string { return &s.config }),
		stringProp("msg2p-lib", "Converter library for a schema of one's own: a shared object with DeepStream's nvds_msg2p functions. "+
			"The path of DeepStream's own libnvds_msgconv.so stands for the built-in schemas",
			gst.MutableReady, func(s *settings) *string { return &s.msg2pLib }),
		gst.EnumProp("payload-type", "Schema of the messages", types, typeDeepstream, gst.MutableReady, getType, setType),
		uintProp("comp-id", "Convert only events of this component (0 = all), and mark the messages with it; msgbroker's comp-id selects by the mark",
			0, math.MaxUint32, 0, gst.MutablePlaying, func(s *settings) *uint32 { return &s.compID }),
		stringProp("debug-payload-dir", "Existing directory that gets a file per frame with its messages",
			gst.MutableReady, func(s *settings) *string { return &s.debugDir }),
		boolProp("multiple-payloads", "Ask the converter for several messages per event or frame; the built-in schemas have one either way",
			func(s *settings) *bool { return &s.multiple }),
		boolProp("msg2p-newapi", "Convert the detections of a frame as they are, every frame-interval frames (true), or as events, in every frame (false)",
			func(s *settings) *bool { return &s.newAPI }),
		uintProp("frame-interval", "With msg2p-newapi: convert each frame whose number is a multiple of this (1 = every frame)",
			1, math.MaxUint32, 30, gst.MutableReady, func(s *settings) *uint32 { return &s.frameInterval }),
		boolProp("dummy-payload", "With the minimal and protobuf schemas: a message also for a frame without events",
			func(s *settings) *bool { return &s.dummy }),
		stringProp("embedding-filter", "Labels of the objects whose embeddings are written, with commas between, for DeepStream's lists of 3D boxes (Sparse4D); none = Person",
			gst.MutableReady, func(s *settings) *string { return &s.embeddingFilter }),
		stringProp("label-map", "Names for classes: LABEL=NAME or CLASS-NUMBER=NAME, separated by semicolons, as in face=person;1=car",
			gst.MutablePlaying, func(s *settings) *string { return &s.labelMap }),
		stringProp("sensor-id", "Id of the sensor in the messages, where config has no description of it",
			gst.MutableReady, func(s *settings) *string { return &s.sensorID }),
		uintProp("source-id", "Number of the source: which [sensorN], [placeN] and [analyticsN] of config describe it",
			0, math.MaxInt32, 0, gst.MutableReady, func(s *settings) *uint32 { return &s.sourceID }),
		stringProp("payload-template", "File with a template of messages of one's own, which takes the place of payload-type's schema (docs/payload-template.md)",
			gst.MutableReady, func(s *settings) *string { return &s.template }),
		uintProp("json-indent", "Blanks per level in JSON messages (0 = compact, on one line)",
			0, 16, 0, gst.MutableReady, func(s *settings) *uint32 { return &s.jsonIndent }),
	}
}

// Register registers the element factory msgconv.
func Register(p gst.Plugin) error { return register(p, "msgconv", Class) }

// RegisterDeepStream registers the element factory nvmsgconv.
func RegisterDeepStream(p gst.Plugin) error { return register(p, "nvmsgconv", nvClass) }

func register(p gst.Plugin, factory string, class *gst.Class) error {
	if err := payloadmeta.Register(); err != nil {
		return err
	}
	return p.Register(factory, gst.RankNone, class)
}

// SetCaps learns the picture's size, and whether downstream wants the payloads themselves.
func (c *converter) SetCaps(in, out gst.Caps) bool {
	c.width, _ = in.Int("width")
	c.height, _ = in.Int("height")
	c.setLidar(!in.IsAny() && strings.Contains(in.Name(0), "ds3d"), in)
	c.jsonMode = c.isPayloadCaps(out) && !c.isPayloadCaps(in)
	c.SetGenerate(c.jsonMode)
	if !c.jsonMode {
		c.QueryDownstream(payloadmeta.FieldsQuery())
	}
	log.Log(gst.LevelDebug, c.Element, "caps %s, %s", in, map[bool]string{true: "messages as buffers", false: "messages as metas"}[c.jsonMode])
	return true
}

func (c *converter) isPayloadCaps(caps gst.Caps) bool {
	return !caps.IsAny() && caps.Size() > 0 && (caps.Name(0) == payloadJSON || caps.Name(0) == payloadProtobuf || caps.Name(0) == c.messageType())
}

const (
	payloadJSON     = payload.ContentTypeJSON
	payloadProtobuf = payload.ContentTypeProtobuf
)

// TransformCaps lets everything through, and offers messages beside it.
func (c *converter) TransformCaps(from gst.PadDirection, caps gst.Caps) gst.Caps {
	messages := gst.NewCaps(c.messageType())
	if from == gst.PadSink {
		return caps.Ref().Merge(messages)
	}
	defer messages.Unref()
	if caps.CanIntersect(messages) {
		return gst.NewCaps("ANY") // a message can be made of any media
	}
	return caps.Ref()
}

// TransformIP attaches the frame's messages to its buffer.
func (c *converter) TransformIP(b gst.Buffer) gst.FlowReturn {
	if c.lidar.on {
		return c.convertLidar(b)
	}
	if batch := c.roi.collect(b, c.due()); batch != 0 {
		return c.convertBatch(b, batch)
	}
	if !c.convert(b) {
		return gst.FlowOK
	}
	c.writer.Reset()
	c.encode(b)
	if !c.writer.Attach(b) {
		c.Error(gst.ResourceFailed, "msgconv: cannot attach a message to the buffer: no memory or the buffer is not writable", "")
		return gst.FlowError
	}
	return gst.FlowOK
}

// SubmitInput makes the frame's messages into buffers.
func (c *converter) SubmitInput(b gst.Buffer) gst.FlowReturn {
	defer b.Unref()
	c.dropPending()
	if c.lidar.on {
		if flow := c.convertLidar(b); flow != gst.FlowOK {
			return flow
		}
	} else if batch := c.roi.collect(b, c.due()); batch != 0 {
		if flow := c.convertBatch(b, batch); flow != gst.FlowOK {
			return flow
		}
	} else if c.convert(b) {
		c.encode(b)
	}
	if len(c.pending) == 0 { // or a sink would never preroll, and a tee before us stand still
		c.PushGap(b.PTS(), b.Duration())
	}
	return gst.FlowOK
}

// take puts one message of the frame where it belongs.
func (c *converter) take(p payload.Payload) {
	if c.nvds.locked && !c.nvds.room(len(p.Data)+len(p.SensorID)) {
		return
	}
	if c.debug != nil {
		c.debug.add(p.Data)
	}
	switch {
	case c.jsonMode:
		out := gst.NewBuffer(p.Data)
		out.SetTimes(c.buffer.PTS(), c.buffer.Duration())
		c.pending = append(c.pending, out)
		return
	case c.nvds.frame.Addr != 0 || c.nvds.batch != 0:
		c.nvds.take(&nvdssdk.Payload{
			Data: p.Data, ContentType: p.ContentType, Key: p.SensorID,
			TimestampMS: c.frame.Time.UnixMilli(), CompID: c.cur.compID,
		})
		return
	}
	c.writer.Add(&payloadmeta.Payload{
		Data: p.Data, ContentType: p.ContentType, Key: p.SensorID,
		TimestampMS: c.frame.Time.UnixMilli(), CompID: c.cur.compID, Fields: p.Fields,
	})
}

// SrcEvent learns which fields of the messages are asked for, by any of the
// elements behind us.
func (c *converter) SrcEvent(ev gst.Event) bool {
	if names, ok := payloadmeta.AskedFor(ev); ok {
		c.mu.Lock()
		for _, n := range names {
			if len(c.wanted) < payload.MaxFields && !slices.Contains(c.wanted, n) {
				c.wanted = append(c.wanted, n)
				c.changed.Store(true)
			}
		}
		c.mu.Unlock()
	}
	return c.ParentEvent(gst.SrcSide, ev)
}

// GenerateOutput gives the next message of the frame.
func (c *converter) GenerateOutput() (gst.Buffer, gst.FlowReturn) {
	if c.next == len(c.pending) {
		return gst.Buffer{}, gst.FlowOK
	}
	b := c.pending[c.next]
	c.next++
	return b, gst.FlowOK
}

func (c *converter) dropPending() {
	for _, b := range c.pending[c.next:] {
		b.Unref()
	}
	c.pending, c.next = c.pending[:0], 0
}

// convert fills c.frame from what collect has found on the buffer. It reports whether there may be a message to make.
func (c *converter) convert(b gst.Buffer) bool {
	c.refresh()
	num, due := c.count+*c.skipped, c.due()
	c.count++
	if name := c.roi.missing(); name != "" {
		c.Warning(gst.LibraryFailed, "msgconv: the GstAnalytics metadata of this stream cannot be read: GStreamer's library has no function "+name+
			". Detections in it are left out; use the libgstanalytics of GStreamer 1.24 or newer.", "")
	}
	if !due || !c.cur.newAPI && c.roi.empty() && !c.cur.dummy {
		return false // most frames of most cameras
	}
	f := &c.frame
	f.Reset()
	f.Num = num
	f.Source = int(c.cur.sourceID)
	f.SensorID = c.cur.sensorID
	f.SourceWidth, f.SourceHeight = c.width, c.height
	f.PipelineWidth, f.PipelineHeight = c.width, c.height
	c.roi.read(f, c.labels)
	if pts := b.PTS(); pts != gst.ClockTimeNone && pts <= math.MaxInt64 {
		f.PTS, f.HasPTS = time.Duration(pts), true
	}
	if f.Time.IsZero() {
		f.Time = time.Now()
	}
	if !c.cur.newAPI {
		f.EventsFromObjects()
		for i := range f.Events { // regions name no component: they are of the one that is asked for
			f.Events[i].ComponentID = int32(c.cur.compID)
		}
	}
	return c.selection.Apply(f)
}

// encode makes the messages of c.frame, which came with b, and gives each to take.
func (c *converter) encode(b gst.Buffer) {
	c.buffer = b
	err := c.encoder.Encode(&c.frame, c.emit)
	c.encoded()
	if err != nil {
		c.failed(err)
	}
}

// failed tells of a frame without a message, at most once a second: a template or a library that fails for one frame
// fails for the next as well.
func (c *converter) failed(err error) {
	now := time.Now()
	if now.Sub(c.failures.told) < time.Second {
		c.failures.untold++
		return
	}
	text := "msgconv: frame " + itoa(c.frame.Num) + " gives no message: " + err.Error()
	if c.failures.untold > 0 {
		text += ". Nor did " + itoa(c.failures.untold) + " frames before it."
	}
	c.failures.told, c.failures.untold = now, 0
	c.tell(gst.StreamEncode, text)
}

// tell posts a warning, at once or when the batch's lock is given back.
func (c *converter) tell(code gst.ErrorCode, text string) {
	if c.nvds.locked {
		c.nvds.later(code, text)
		return
	}
	c.Warning(code, text, "")
}

// encoded ends what c.frame gives: its messages become a file of their own, if that is asked for.
func (c *converter) encoded() {
	if c.debug != nil {
		c.debug.done(c.frame.Time)
	}
	if !c.nvds.locked { // nobody waits for a disk with the batch's lock
		c.flushDebug()
	}
}

// flushDebug writes the files of what was encoded.
func (c *converter) flushDebug() {
	if c.debug == nil {
		return
	}
	if err := c.debug.flush(); err != nil {
		c.Warning(gst.ResourceWrite, "msgconv: "+err.Error()+". debug-payload-dir is switched off until the next start.", "")
		c.debug = nil
	}
}

// due reports whether the next frame that is not DeepStream's will be converted.
func (c *converter) due() bool {
	return !c.cur.newAPI || payload.Due(c.count+*c.skipped, c.cur.frameInterval)
}

// refresh takes over properties that may change while the stream plays.
func (c *converter) refresh() {
	if !c.changed.Load() || !c.changed.Swap(false) { // a swap is dear, and this is every frame
		return
	}
	c.mu.Lock()
	want := c.set
	c.encoder.Want(c.wanted)
	c.mu.Unlock()
	c.cur.compID = want.compID
	c.selection.ComponentID = want.compID
	if want.labelMap == c.cur.labelMap {
		return
	}
	c.cur.labelMap = want.labelMap
	labels, err := parseLabelMap(want.labelMap)
	if err != nil {
		c.Warning(gst.ResourceSettings, "msgconv: "+err.Error()+". The former label-map stays in force.", "")
		return
	}
	c.labels = labels
}
