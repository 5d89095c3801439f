// SPDX-License-Identifier: LGPL-2.1-or-later

package event

// Scene is what a detector that looks through several cameras at once (Sparse4D) found in one instant. It
// mirrors DeepStream's NvDsBbox3dObjectList; number, time and source stand in the Frame beside it. Like Frame it
// is meant to be reused.
type Scene struct {
	SensorStr String // name of the sensor, before any configuration
	Objects   []Solid
	Views     []View // the cameras that it was made of, if the application tells
}

// View is a camera's part in a Scene.
type View struct {
	Source string // name of the camera
	Stamp  uint64 // when its picture was taken, nanoseconds since 1970 UTC
}

// Solid is an object with a body. It mirrors NvDsBbox3dObject.
type Solid struct {
	ID    uint32 // tracking id
	Label string // name of the class, as the detector has it
	Name  string // what messages call the class, if that is something else
	// Box is x, y, z of the centre, width, length, height, pitch, roll, yaw and the velocity's x, y, z, in the
	// units of the detector's world (metres, radians, metres per second).
	Box        [12]float32
	Score      float32 // of the box, usually 0 to 1
	ClassScore float32 // of the class, usually 0 to 1
	// Embedding describes the object's looks. It is a view. HasEmbedding with an empty one: there is one, of
	// no length.
	Embedding    []float32
	HasEmbedding bool
}

// Class is what messages call the object's class.
func (o *Solid) Class() string {
	if o.Name != "" {
		return o.Name
	}
	return o.Label
}

// AddObject appends an empty object and returns it. The pointer is valid until the next AddObject.
func (s *Scene) AddObject() *Solid {
	s.Objects = append(s.Objects, Solid{})
	return &s.Objects[len(s.Objects)-1]
}

// Reset empties the scene and keeps its memory.
func (s *Scene) Reset() {
	clear(s.Objects) // drop references to foreign memory
	clear(s.Views)
	*s = Scene{Objects: s.Objects[:0], Views: s.Views[:0]}
}

// Lidar is a reading of a lidar, alone or beside cameras, with what was detected in it. It mirrors what
// DeepStream's ds3d components put into a data map. Like Frame it is meant to be reused.
type Lidar struct {
	Stamp    uint64 // when it was measured, nanoseconds of the source's clock
	HasStamp bool

	// An entry that the data map has may be empty all the same.
	Has2D, Has3D, HasFused bool
	Objects2D              []Flat
	Objects3D              []Box3D
	Fused                  []Fused

	// Points is the point cloud, a view: PointSize numbers a point, x, y, z and what else there is.
	Points    []float32
	PointSize int
}

// Flat is a detection of a camera.
type Flat struct {
	X, Y   float32 // centre, in pixels
	DX, DY float32 // width and height, in pixels
	Score  float32 // usually 0 to 1
	Label  string
}

// Box3D is a detection of a lidar, in the lidar's coordinates: x to the front, y to the left, z up.
type Box3D struct {
	X, Y, Z    float32 // centre, in metres
	DX, DY, DZ float32 // length, width and height, in metres
	Score      float32 // usually 0 to 1
	Label      string
}

// Fused is an object that the lidar and a camera have both seen.
type Fused struct {
	Flat  Flat
	Box3D Box3D
	Score float32
}

// Reset empties the reading and keeps its memory.
func (l *Lidar) Reset() {
	clear(l.Objects2D)
	clear(l.Objects3D)
	clear(l.Fused)
	*l = Lidar{Objects2D: l.Objects2D[:0], Objects3D: l.Objects3D[:0], Fused: l.Fused[:0]}
}
