// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

// Static describes what does not change from message to message: the sensors, the places that they look
// at, and the analytics that are run. The maps' keys are the numbers of the groups ([sensor0] is 0), which
// messages refer to by source number.
type Static struct {
	Sensors   map[int]Sensor
	Places    map[int]Place
	Analytics map[int]Analytics
	// DataMap names what a lidar message is made of; nil when no group does (see NewDataMap).
	DataMap *DataMap
}

// Sensor describes a camera or another sensor.
type Sensor struct {
	ID, Type, Description string
	Location              [3]float64 // latitude and longitude in degrees, altitude in metres
	Coordinate            [3]float64 // x, y, z in the place's own coordinates
}

// Place describes where a sensor looks at.
type Place struct {
	ID, Type, Name string
	Location       [3]float64
	Coordinate     [3]float64
	// Sub are place-sub-field1 to 3. What they mean depends on the kind of event: id, name and level of
	// an aisle; id, type and level of a parking spot; name, lane and level of an entrance.
	Sub [3]string
}

// Analytics describes the analytics module.
type Analytics struct {
	ID, Source, Description, Version string
}

func newStatic() *Static {
	return &Static{Sensors: map[int]Sensor{}, Places: map[int]Place{}, Analytics: map[int]Analytics{}}
}
