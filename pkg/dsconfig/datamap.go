// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// dataMapGroup begins the names of the groups that describe a data map; what follows is for the reader.
const dataMapGroup = "ds3d::datamap"

// IsDataMap reports whether a group describes a ds3d data map. In a YAML file it counts, without being enabled.
func IsDataMap(group string) bool { return strings.HasPrefix(group, dataMapGroup) }

// DataMap names the entries of a ds3d data map that become a lidar message.
type DataMap struct {
	// Objects2D, Objects3D and Fused hold the detections of cameras, of the lidar, and of both together.
	Objects2D, Objects3D, Fused string
	// Points holds the point cloud.
	Points string
	// PointSize is how many numbers a point has. Nothing is made of it: the point cloud itself tells.
	PointSize int
	// MaxPoints is how many points of a point cloud become part of a message.
	MaxPoints int
}

// NewDataMap has the names that DeepStream's own components use (ds3d/common/common.h), 4 numbers a point
// and 10 points, the reference's defaults.
func NewDataMap() *DataMap {
	return &DataMap{Objects2D: "DS3D::Object2DBboxKey", Objects3D: "DS3D::Lidar3DBboxRawData", Fused: "DS3D::FusedDetectionKey",
		Points: "DS3D::LidarXYZI", PointSize: 4, MaxPoints: 10}
}

// maxPoints keeps a message of points below what brokers take: 16 million points are 352 MB.
const maxPoints = 1 << 24

var dataMapKeys = []string{"2d_objects_key", "3d_objects_key", "fused_detection_key", "lidar_data_key", "lidar_element_max_points", "lidar_element_size"}

// dataMap reads the keys of a group of a data map into what l has.
func (l *loader) dataMap(name *yaml.Node, body *yaml.Node) error {
	group := printable(name.Value)
	if l.dataMapLine > 0 {
		l.warn(name.Line, group, "", fmt.Sprintf("line %d describes the data map already; what is set here replaces what is set there", l.dataMapLine),
			"keep one of them")
	}
	l.dataMapLine = name.Line
	if body.Kind != yaml.MappingNode {
		return &Error{File: l.path, Line: name.Line, Group: group, Cause: "is not a map of keys", Remedy: "indent the keys below it, one `key: value` a line"}
	}
	if l.static.DataMap == nil {
		l.static.DataMap = NewDataMap()
	}
	m := l.static.DataMap
	texts := map[string]*string{"2d_objects_key": &m.Objects2D, "3d_objects_key": &m.Objects3D, "fused_detection_key": &m.Fused,
		"lidar_data_key": &m.Points}
	numbers := map[string]struct {
		to         *int
		least, max int64
	}{"lidar_element_size": {&m.PointSize, 1, maxPoints}, "lidar_element_max_points": {&m.MaxPoints, 0, maxPoints}}
	fields, err := l.yamlFields(name.Value, body)
	if err != nil {
		return err
	}
	for _, f := range fields {
		if n, ok := numbers[f.Key]; ok {
			v, err := f.IntRange(n.least, n.max)
			if err != nil {
				return err
			}
			*n.to = int(v)
			continue
		}
		if to := texts[f.Key]; to != nil {
			if *to = f.Raw; strings.ContainsRune(f.Raw, 0) {
				return f.Errorf("write the name of an entry, such as DS3D::LidarXYZI", "holds a NUL byte")
			}
			continue
		}
		l.warnings = append(l.warnings, f.Warn("unknown key; it is ignored", suggest(f.Key, dataMapKeys, "the keys are "+strings.Join(dataMapKeys, ", "))))
	}
	return nil
}
