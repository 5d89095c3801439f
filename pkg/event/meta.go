// SPDX-License-Identifier: LGPL-2.1-or-later

package event

import "time"

// Type says what happened. The numbers are those of DeepStream's NvDsEventType.
type Type int32

// The event types.
const (
	Entry      Type = 0
	Exit       Type = 1
	Moving     Type = 2
	Stopped    Type = 3
	Empty      Type = 4
	Parked     Type = 5
	ResetEvent Type = 6
	CustomType Type = 257
)

// ObjectType is the class of an event's object. The numbers are those of DeepStream's NvDsObjectType.
type ObjectType int32

// The object types. The Ext variants carry a mask beside their attributes.
const (
	Vehicle    ObjectType = 0
	Person     ObjectType = 1
	Face       ObjectType = 2
	Bag        ObjectType = 3
	Bicycle    ObjectType = 4
	RoadSign   ObjectType = 5
	VehicleExt ObjectType = 6
	PersonExt  ObjectType = 7
	FaceExt    ObjectType = 8
	Object3D   ObjectType = 9
	Dummy      ObjectType = 10
	Product    ObjectType = 11
	ProductExt ObjectType = 12
	Custom     ObjectType = 257
	Unknown    ObjectType = 258
)

// String is a text that may be absent, as a NULL pointer is in C. The zero value is absent.
type String struct {
	Value string
	Set   bool
}

// Str returns a present text.
func Str(s string) String { return String{s, true} }

// GeoLocation is a place on earth: degrees and metres.
type GeoLocation struct{ Lat, Lon, Alt float64 }

// Coordinate is a point in the coordinates of a room or a building.
type Coordinate struct{ X, Y, Z float64 }

// Event mirrors DeepStream's NvDsEventMsgMeta.
type Event struct {
	Type       Type
	ObjectType ObjectType
	Box        Box
	Location   GeoLocation
	Coordinate Coordinate
	Signature  []float64 // feature vector; empty = none

	ClassID     int32
	Sensor      int32 // row of the sensor description
	Module      int32 // row of the analytics description
	Place       int32 // row of the place description
	ComponentID int32
	FrameID     int64

	Confidence float64 // usually 0 to 1
	// HasConfidence marks Confidence as measured by the detector: it is then written even where the
	// reference schema has a fixed 1.0 or nothing, because the object has no attributes.
	HasConfidence bool
	TrackingID    uint64

	// Timestamp is the time as text (RFC 3339); when it is absent, At counts, if it is not zero.
	Timestamp String
	At        time.Time

	ObjectID   String // class name of an object of type Unknown
	SensorStr  String // name of the sensor, before any configuration
	OtherAttrs String
	VideoPath  String

	Ext       Ext
	Pose      Pose
	Embedding []float32

	Has3D      bool // Tracking3D is valid
	Tracking3D Tracking3D
	Visibility float32 // 0 to 1
}

// Reset empties the event and keeps the memory of its slices.
func (e *Event) Reset() {
	// Field by field: the struct is large, and half of it are attributes, which most events do not have.
	e.Type, e.ObjectType, e.Box = 0, 0, Box{}
	e.Location, e.Coordinate, e.Signature = GeoLocation{}, Coordinate{}, e.Signature[:0]
	e.ClassID, e.Sensor, e.Module, e.Place, e.ComponentID, e.FrameID = 0, 0, 0, 0, 0, 0
	e.Confidence, e.HasConfidence, e.TrackingID = 0, false, 0
	e.Timestamp, e.At = String{}, time.Time{}
	e.ObjectID, e.SensorStr, e.OtherAttrs, e.VideoPath = String{}, String{}, String{}, String{}
	e.Pose.Type, e.Pose.Joints, e.Embedding = 0, e.Pose.Joints[:0], e.Embedding[:0]
	e.Has3D, e.Visibility = false, 0
	e.Tracking3D.WorldFeet, e.Tracking3D.ImageFeet, e.Tracking3D.Hull = [2]float32{}, [2]float32{}, e.Tracking3D.Hull[:0]
	mask := e.Ext.Mask[:0]
	if e.Ext.Kind != ExtNone {
		e.Ext = Ext{}
	}
	e.Ext.Mask = mask
}

// ExtKind says which attributes an Ext holds.
type ExtKind uint8

// The kinds of attributes.
const (
	ExtNone    ExtKind = iota // no attributes
	ExtMissing                // attributes are announced (a size) but not there (a NULL pointer)
	ExtVehicle
	ExtPerson
	ExtFace
	ExtProduct
	ExtOther // attributes of a kind that no schema knows
)

// Ext holds the attributes of an object. Which fields count depends on Kind, and where it is ExtNone, only Mask
// may be set: Event.Reset goes by it.
type Ext struct {
	Kind ExtKind

	VehicleType, Make, Model, Color, Region, License String // ExtVehicle

	Age                                 uint32      // years; ExtPerson and ExtFace
	Gender, Hair, Cap                   String      // ExtPerson and ExtFace
	Apparel                             String      // ExtPerson
	Glasses, FacialHair, Name, EyeColor String      // ExtFace
	Brand, ProductType, Shape           String      // ExtProduct
	Mask                                [][]float64 // polygons; only of the Ext object types
}

// AddPolygon appends an empty polygon to the mask and returns it; append the numbers to it.
func (x *Ext) AddPolygon() *[]float64 { return addPolygon(&x.Mask) }

// PoseType says how many dimensions the joints of a Pose have.
type PoseType int32

// The pose types.
const (
	Pose2D  PoseType = 0
	Pose25D PoseType = 1
	Pose3D  PoseType = 2
)

// Pose is a skeleton; without joints there is none.
type Pose struct {
	Type   PoseType
	Joints []Joint // in the order of JointNames
}

// Joint is a point of a Pose. Z counts in Pose25D and Pose3D.
type Joint struct {
	X, Y, Z    float32
	Confidence float32
}

// Tracking3D is the result of single-view 3D tracking.
type Tracking3D struct {
	WorldFeet [2]float32 // x, y on the ground
	ImageFeet [2]float32 // x, y in the picture
	Hull      []int32    // x, y, x, y … of the convex hull in the picture
}

var joints2D = [...]string{"nose", "neck", "right-shoulder", "right-elbow", "right-hand", "left-shoulder",
	"left-elbow", "left-hand", "right-hip", "right-knee", "right-foot", "left-hip", "left-knee", "left-foot",
	"right-eye", "left-eye", "right-ear", "left-ear"}

var joints3D = [...]string{"pelvis", "left-hip", "right-hip", "torso", "left-knee", "right-knee", "neck",
	"left-ankle", "right-ankle", "left-big-toe", "right-big-toe", "left-small-toe", "right-small-toe",
	"left-heel", "right-heel", "nose", "left-eye", "right-eye", "left-ear", "right-ear", "left-shoulder",
	"right-shoulder", "left-elbow", "right-elbow", "left-wrist", "right-wrist", "left-pinky-knuckle",
	"right-pinky-knuckle", "left-middle-tip", "right-middle-tip", "left-index-knuckle", "right-index-knuckle",
	"left-thumb-tip", "right-thumb-tip"}

// JointNames lists the names of the joints of a pose type, in order; none for an unknown type.
func JointNames(t PoseType) []string {
	switch t {
	case Pose2D:
		return joints2D[:]
	case Pose25D, Pose3D:
		return joints3D[:]
	}
	return nil
}
