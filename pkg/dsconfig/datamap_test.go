// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"strings"
	"testing"
)

func TestDataMap(t *testing.T) {
	all := "  2d_objects_key: a\n  3d_objects_key: b b\n  fused_detection_key: DS3D::c\n  lidar_data_key: \"d\"\n  lidar_element_size: 3\n  lidar_element_max_points: 70\n"
	want := DataMap{Objects2D: "a", Objects3D: "b b", Fused: "DS3D::c", Points: "d", PointSize: 3, MaxPoints: 70}
	for name, c := range map[string]struct {
		text string
		want DataMap
	}{
		"all":         {"ds3d::datamap:\n" + all, want},
		"a number":    {"ds3d::datamap7:\n" + all, want},
		"none":        {"ds3d::datamap: {}\n", *NewDataMap()},
		"some":        {"ds3d::datamap:\n  lidar_data_key: d\n", DataMap{NewDataMap().Objects2D, NewDataMap().Objects3D, NewDataMap().Fused, "d", 4, 10}},
		"off":         {"ds3d::datamap:\n  2d_objects_key: \"\"\n  3d_objects_key: ''\n", DataMap{"", "", NewDataMap().Fused, NewDataMap().Points, 4, 10}},
		"no point":    {"ds3d::datamap:\n  lidar_element_max_points: 0\n", DataMap{NewDataMap().Objects2D, NewDataMap().Objects3D, NewDataMap().Fused, NewDataMap().Points, 4, 0}},
		"two of them": {"ds3d::datamap0:\n" + all + "ds3d::datamap1:\n  lidar_data_key: e\n", DataMap{"a", "b b", "DS3D::c", "e", 3, 70}},
	} {
		s, warnings, err := LoadData("a.yml", []byte(c.text))
		if err != nil || *s.DataMap != c.want {
			t.Errorf("%s: %+v %v", name, s, err)
		}
		if two := name == "two of them"; two != (len(warnings) == 1) {
			t.Errorf("%s: %v", name, warnings)
		}
	}
	if s, _, err := LoadData("a.txt", []byte("[sensor0]\nenable=1\n")); err != nil || s.DataMap != nil {
		t.Error(s, err)
	}
	for _, c := range [][2]string{
		{"a.yml:1: [ds3d::datamap] is not a map", "ds3d::datamap: 3\n"},
		{"a.yml:2: [ds3d::datamap] lidar_data_key: is not a single value", "ds3d::datamap:\n  lidar_data_key: [1]\n"},
		{"a.yml:2: [ds3d::datamap] lidar_element_size: is not an integer", "ds3d::datamap:\n  lidar_element_size: four\n"},
		{"a.yml:2: [ds3d::datamap] lidar_element_max_points: is out of range; choose a number from 0", "ds3d::datamap:\n  lidar_element_max_points: -1\n"},
		{"a.yml:2: [ds3d::datamap] lidar_element_max_points: is out of range", "ds3d::datamap:\n  lidar_element_max_points: 4294967295\n"},
		{"a.yml:2: [ds3d::datamap] 2d_objects_key: holds a NUL byte", "ds3d::datamap:\n  2d_objects_key: \"a\\0b\"\n"},
		{"a.yml:3: [ds3d::datamap] lidar_data_key: set in line 2 already", "ds3d::datamap:\n  lidar_data_key: a\n  lidar_data_key: b\n"},
	} {
		if _, _, err := LoadData("a.yml", []byte(c[1])); err == nil || !strings.HasPrefix(err.Error(), c[0]) {
			t.Errorf("%q: %v", c[1], err)
		}
	}
	_, warnings, err := LoadData("a.yml", []byte("ds3d::datamap:\n  2d_object_key: a\n"))
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), "did you mean 2d_objects_key?") {
		t.Error(warnings, err)
	}
	_, warnings, err = LoadData("a.txt", []byte("[ds3d::datamap]\nlidar_data_key=a\n"))
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), ".yml") {
		t.Error(warnings, err)
	}
}
