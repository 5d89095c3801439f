// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// The golden files hold the input of DeepStream 9.1's converter and the bytes it gave. See
// testdata/golden/README.md.

type goldenCase struct {
	Name       string                         `json:"name"`
	Config     *string                        `json:"config"`
	Type       Type                           `json:"payload_type"`
	API        string                         `json:"api"`
	Level      string                         `json:"level"`
	Dummy      bool                           `json:"dummy_payload"`
	Properties map[string]json.RawMessage     `json:"properties"`
	Input      struct{ Frames []goldenFrame } `json:"input"`
	Status     string                         `json:"status"`
	Output     []json.RawMessage              `json:"output"`
}

type goldenFrame struct {
	FrameNum       uint64         `json:"frame_num"`
	NTP            string         `json:"ntp_timestamp"`
	SourceID       int            `json:"source_id"`
	SourceWidth    int            `json:"source_frame_width"`
	SourceHeight   int            `json:"source_frame_height"`
	PipelineWidth  int            `json:"pipeline_width"`
	PipelineHeight int            `json:"pipeline_height"`
	Events         []goldenEvent  `json:"events"`
	Objects        []goldenObject `json:"objects"`
	UserMetas      []struct {
		MetaType int  `json:"meta_type"`
		Message  text `json:"message"`
		Size     *int `json:"size"`
	} `json:"user_metas"`
}

type goldenBox struct{ Left, Top, Width, Height number }

func (b goldenBox) box() event.Box {
	return event.Box{Left: float32(b.Left), Top: float32(b.Top), Width: float32(b.Width), Height: float32(b.Height)}
}

type goldenEvent struct {
	Type        event.Type
	ObjType     event.ObjectType
	Bbox        goldenBox
	Location    struct{ Lat, Lon, Alt number }
	Coordinate  struct{ X, Y, Z number }
	Signature   []number `json:"objSignature"`
	ObjClassID  int32    `json:"objClassId"`
	SensorID    int32    `json:"sensorId"`
	ModuleID    int32    `json:"moduleId"`
	PlaceID     int32    `json:"placeId"`
	ComponentID int32    `json:"componentId"`
	FrameID     int64    `json:"frameId"`
	Confidence  number
	TrackingID  string `json:"trackingId"`
	TS          text   `json:"ts"`
	ObjectID    text   `json:"objectId"`
	SensorStr   text   `json:"sensorStr"`
	OtherAttrs  text   `json:"otherAttrs"`
	VideoPath   text   `json:"videoPath"`
	ExtMsg      *struct {
		Kind                                                            string
		Type, Make, Model, Color, Region, License                       text
		Gender, Hair, Cap, Apparel, Glasses, Facialhair, Name, Eyecolor text
		Brand, Shape                                                    text
		Age                                                             uint32
		Mask                                                            [][]number
	} `json:"extMsg"`
	ExtMsgSize int `json:"extMsgSize"`
	Pose       *struct {
		NumJoints int            `json:"num_joints"`
		PoseType  event.PoseType `json:"pose_type"`
		Joints    []struct{ X, Y, Z, Confidence number }
	} `json:"pose"`
	Embedding  []number
	Has3D      bool `json:"has3DTracking"`
	Tracking3D *struct {
		PtWorldFeet, PtImgFeet [2]number
		ConvexHull             struct{ Points []int32 }
	} `json:"singleView3DTracking"`
	Visibility number
}

type goldenObject struct {
	ObjectID    string    `json:"object_id"`
	ClassID     int32     `json:"class_id"`
	Confidence  number    `json:"confidence"`
	Rect        goldenBox `json:"rect_params"`
	Label       text      `json:"obj_label"`
	Classifiers []struct {
		Type   text `json:"classifier_type"`
		Labels []struct {
			Label text   `json:"result_label"`
			Prob  number `json:"result_prob"`
		} `json:"labels"`
	} `json:"classifiers"`
}

// number is a JSON number or one of "nan", "inf" and "-inf".
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(f)
	return err
}

// text is a string, null, or {"hex": bytes}.
type text struct{ event.String }

func (s *text) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		s.String = event.String{}
		return nil
	case b[0] == '{':
		var h struct{ Hex string }
		if err := json.Unmarshal(b, &h); err != nil {
			return err
		}
		raw, err := hex.DecodeString(h.Hex)
		s.String = event.Str(string(raw))
		return err
	}
	s.Set = true
	return json.Unmarshal(b, &s.Value)
}

func loadGolden(t *testing.T, path string) *goldenCase {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := new(goldenCase)
	if err := json.Unmarshal(data, c); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

func numbers[T float32 | float64](in []number) (out []T) {
	for _, n := range in {
		out = append(out, T(n))
	}
	return out
}

func (g *goldenFrame) frame(t *testing.T) *event.Frame {
	t.Helper()
	f := &event.Frame{Num: g.FrameNum, Source: g.SourceID, SourceWidth: g.SourceWidth, SourceHeight: g.SourceHeight,
		PipelineWidth: g.PipelineWidth, PipelineHeight: g.PipelineHeight}
	for i := range g.Events {
		g.Events[i].fill(t, f.AddEvent())
	}
	for _, o := range g.Objects {
		obj := f.AddObject()
		obj.ID, obj.ClassID, obj.Label, obj.Box = parseUint(t, o.ObjectID), o.ClassID, o.Label.Value, o.Rect.box()
		obj.Confidence, obj.HasConfidence = float32(o.Confidence), true
		for _, c := range o.Classifiers {
			class := obj.AddClassification(c.Type.Value)
			for _, l := range c.Labels {
				class.AddLabel(l.Label.Value, float32(l.Prob))
			}
		}
	}
	for _, m := range g.UserMetas {
		if m.MetaType != 29 { // NVDS_CUSTOM_MSG_BLOB of DeepStream 9.1
			continue
		}
		b := []byte(m.Message.Value)
		if m.Size != nil {
			b = b[:*m.Size]
		}
		f.Custom = append(f.Custom, b)
	}
	return f
}

func parseUint(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (g *goldenEvent) fill(t *testing.T, e *event.Event) {
	t.Helper()
	e.Type, e.ObjectType, e.Box = g.Type, g.ObjType, g.Bbox.box()
	e.Location = event.GeoLocation{Lat: float64(g.Location.Lat), Lon: float64(g.Location.Lon), Alt: float64(g.Location.Alt)}
	e.Coordinate = event.Coordinate{X: float64(g.Coordinate.X), Y: float64(g.Coordinate.Y), Z: float64(g.Coordinate.Z)}
	e.Signature = numbers[float64](g.Signature)
	e.ClassID, e.Sensor, e.Module, e.Place = g.ObjClassID, g.SensorID, g.ModuleID, g.PlaceID
	e.ComponentID, e.FrameID = g.ComponentID, g.FrameID
	e.Confidence, e.TrackingID = float64(g.Confidence), parseUint(t, g.TrackingID)
	e.Timestamp, e.ObjectID, e.SensorStr = g.TS.String, g.ObjectID.String, g.SensorStr.String
	e.OtherAttrs, e.VideoPath = g.OtherAttrs.String, g.VideoPath.String
	g.fillExt(&e.Ext)
	if p := g.Pose; p != nil {
		e.Pose.Type = p.PoseType
		for _, j := range p.Joints[:p.NumJoints] {
			e.Pose.Joints = append(e.Pose.Joints, event.Joint{X: float32(j.X), Y: float32(j.Y), Z: float32(j.Z), Confidence: float32(j.Confidence)})
		}
	}
	e.Embedding = numbers[float32](g.Embedding)
	e.Has3D = g.Has3D
	if s := g.Tracking3D; s != nil {
		e.Tracking3D = event.Tracking3D{Hull: s.ConvexHull.Points}
		for i := range 2 {
			e.Tracking3D.WorldFeet[i], e.Tracking3D.ImageFeet[i] = float32(s.PtWorldFeet[i]), float32(s.PtImgFeet[i])
		}
	}
	e.Visibility = float32(g.Visibility)
}

func (g *goldenEvent) fillExt(x *event.Ext) {
	m := g.ExtMsg
	if g.ExtMsgSize == 0 {
		return
	}
	if m == nil {
		x.Kind = event.ExtMissing
		return
	}
	switch strings.TrimSuffix(m.Kind, "Ext") {
	case "NvDsVehicleObject":
		x.Kind, x.VehicleType = event.ExtVehicle, m.Type.String
	case "NvDsPersonObject":
		x.Kind = event.ExtPerson
	case "NvDsFaceObject":
		x.Kind = event.ExtFace
	case "NvDsProductObject":
		x.Kind, x.ProductType = event.ExtProduct, m.Type.String
	default:
		x.Kind = event.ExtOther
	}
	x.Make, x.Model, x.Color, x.Region, x.License = m.Make.String, m.Model.String, m.Color.String, m.Region.String, m.License.String
	x.Age, x.Gender, x.Hair, x.Cap, x.Apparel = m.Age, m.Gender.String, m.Hair.String, m.Cap.String, m.Apparel.String
	x.Glasses, x.FacialHair, x.Name, x.EyeColor = m.Glasses.String, m.Facialhair.String, m.Name.String, m.Eyecolor.String
	x.Brand, x.Shape = m.Brand.String, m.Shape.String
	for _, polygon := range m.Mask {
		p := x.AddPolygon()
		*p = append(*p, numbers[float64](polygon)...)
	}
}

// options are those of the case, with the fixed ids and the fixed clock of the golden files.
func (c *goldenCase) options(t *testing.T, indent int) (Options, error) {
	t.Helper()
	o := Options{Type: c.Type, Indent: indent}
	if c.API == "frame" {
		o.API = APIFrame
	}
	if c.Config != nil {
		s, _, err := dsconfig.Load(filepath.Join("testdata", "golden", "config", *c.Config))
		if err != nil {
			return o, err
		}
		o.Static = s
	}
	count := byte(0)
	o.NewUUID = func() (id [16]byte) {
		count++
		id[6], id[8], id[15] = 0x40, 0x80, count
		return id
	}
	o.Now = func() time.Time { return time.Date(2025, 3, 4, 5, 6, 7, 89_999_999, time.UTC) }
	if c.Type == Protobuf {
		o.Now = func() time.Time { return time.Date(2025, 3, 4, 5, 6, 7, 89_000_000, time.UTC) }
	}
	return o, nil
}

// run converts the case as the element does, and returns the payloads; null stands for a refused one.
func (c *goldenCase) run(t *testing.T, indent int) ([]string, error) {
	t.Helper()
	o, err := c.options(t, indent)
	if err != nil {
		return nil, err
	}
	enc, err := New(o)
	if err != nil {
		return nil, err
	}
	out := []string{}
	sel := c.selection(t)
	for i := range c.Input.Frames {
		f := c.Input.Frames[i].frame(t)
		if c.Level == "element" {
			if c.API == "event" { // the frame API's golden files hold the wall clock instead
				f.Time = time.Unix(0, int64(parseUint(t, c.Input.Frames[i].NTP)))
			}
			if !sel.Apply(f) {
				continue
			}
		}
		err := enc.Encode(f, func(p Payload) { out = append(out, string(p.Data)) })
		if c.Type == Reserved && c.Level == "library" {
			out = append(out, "null")
		}
		var te *TimeError
		if errors.As(err, &te) {
			if c.Level == "library" {
				out = append(out, "null")
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return out, nil
}

// reference returns the outputs in the golden file.
func (c *goldenCase) reference(t *testing.T) []string {
	t.Helper()
	out := []string{}
	for _, raw := range c.Output {
		var s string
		switch {
		case string(raw) == "null":
			s = "null"
		case raw[0] == '{':
			var h struct{ Hex string }
			if err := json.Unmarshal(raw, &h); err != nil {
				t.Fatal(err)
			}
			b, err := hex.DecodeString(h.Hex)
			if err != nil {
				t.Fatal(err)
			}
			s = string(b)
		default:
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, s)
	}
	return out
}

func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(paths) < 150 {
		t.Fatalf("%d golden files, %v", len(paths), err)
	}
	used := 0
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		c := loadGolden(t, path)
		d, differs := differences[name]
		if differs {
			used++
		}
		t.Run(name, func(t *testing.T) {
			want := c.reference(t)
			got, err := c.run(t, 2)
			switch {
			case differs:
				d.check(t, c, want, got, err)
			case c.Status != "ok" && err == nil:
				t.Errorf("the reference refuses this (%s), we give %q", c.Status, got)
			case c.Status == "ok" && err != nil:
				t.Error(err)
			case c.Status == "ok":
				compare(t, want, got)
			}
			if err == nil && c.Type < Protobuf {
				compact, _ := c.run(t, 0)
				compareCompact(t, got, compact)
			}
		})
	}
	if used != len(differences) {
		t.Errorf("%d differences are listed, %d of them have a golden file", len(differences), used)
	}
}

func compare(t *testing.T, want, got []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d payloads, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("payload %d\n got %s\nwant %s", i, show(got[i]), show(want[i]))
		}
	}
}

func show(s string) string {
	if strings.HasPrefix(s, "{") {
		return s
	}
	return fmt.Sprintf("%x", s)
}

// compareCompact checks that both layouts hold the same tokens in the same order, and that the compact
// one has no blanks.
func compareCompact(t *testing.T, pretty, compact []string) {
	t.Helper()
	if len(pretty) != len(compact) {
		t.Fatalf("%d compact payloads, %d others", len(compact), len(pretty))
	}
	for i := range pretty {
		if !json.Valid([]byte(compact[i])) {
			t.Errorf("payload %d is not valid JSON: %s", i, compact[i])
		}
		a, b := tokens(t, pretty[i]), tokens(t, compact[i])
		if a != b {
			t.Errorf("payload %d\ncompact %s\n pretty %s", i, b, a)
		}
		var dense bytes.Buffer
		if err := json.Compact(&dense, []byte(compact[i])); err != nil || dense.String() != compact[i] {
			t.Errorf("payload %d is not compact: %s", i, compact[i])
		}
	}
}

func tokens(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, s)
		}
		fmt.Fprintf(&b, "%T %v\n", tok, tok)
	}
}

func TestGoldenNumbersAreWidened(t *testing.T) {
	// The input's floats are parsed as doubles and then cut to float32, as the golden files say.
	var n number
	if err := n.UnmarshalJSON([]byte(`"nan"`)); err != nil || !math.IsNaN(float64(n)) {
		t.Error(n, err)
	}
	if got := numbers[float32]([]number{0.1}); got[0] != float32(0.1) {
		t.Error(got)
	}
}
