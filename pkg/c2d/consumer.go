// SPDX-License-Identifier: LGPL-2.1-or-later

package c2d

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// MaxNumber is the highest number of a [message-consumerN] or [sensorN] group.
const MaxNumber = 65535

// A Consumer is a [message-consumerN] group: a place that commands come from.
type Consumer struct {
	Group      string // its name in the file
	Number     int
	ProtoLib   string   // proto-lib
	ConnStr    string   // conn-str
	ConfigFile string   // config-file, seen from here; "" means none
	Topics     []string // subscribe-topic-list
	Sensors    *Sensors // from sensor-list-file; nil means none
}

// ConsumerPrefix begins the names of the groups.
const ConsumerPrefix = "message-consumer"

// ConsumerKeys are those of a [message-consumerN] group.
var ConsumerKeys = []string{"enable", "proto-lib", "conn-str", "config-file", "subscribe-topic-list", "sensor-list-file"}

// LoadConsumers reads the [message-consumerN] groups that are on (enable=1), in the order of their numbers,
// and the sensor lists that they name. Other groups are left alone: the file may be the configuration of a
// whole application. Paths in it are relative to its folder, as in the reference. Unknown keys are errors,
// duplicates are warnings.
func LoadConsumers(path string) ([]Consumer, []dsconfig.Warning, error) {
	kf, err := dsconfig.ParseKeyFile(path)
	if err != nil {
		return nil, nil, err
	}
	warnings := kf.Warnings
	var list []Consumer
	found := map[int]*dsconfig.Group{}
	for _, g := range kf.Groups {
		n, ours, err := numbered(path, g, ConsumerPrefix)
		if err != nil {
			return nil, warnings, err
		}
		if !ours {
			continue
		}
		if twin := found[n]; twin != nil {
			return nil, warnings, groupError(path, g, fmt.Sprintf("message-consumer%d stands in line %d already", n, twin.Line), "give each group a number of its own")
		}
		found[n] = g
		c, on, more, err := ReadConsumer(path, g)
		warnings = append(warnings, more...)
		if err != nil {
			return nil, warnings, err
		}
		if on {
			c.Number = n
			list = append(list, c)
		}
	}
	if len(found) == 0 {
		return nil, warnings, &dsconfig.Error{File: path, Cause: "there is no [message-consumerN] group", Remedy: "write [message-consumer0] above the keys"}
	}
	slices.SortFunc(list, func(a, b Consumer) int { return cmp.Compare(a.Number, b.Number) })
	return list, warnings, nil
}

// ReadConsumer reads one [message-consumerN] group of the file at path; on is false when enable is not set.
func ReadConsumer(path string, g *dsconfig.Group) (c Consumer, on bool, warnings []dsconfig.Warning, err error) {
	c.Group = g.Name
	if err := onlyKeys(g, ConsumerKeys); err != nil {
		return c, false, nil, err
	}
	if on, err = enabled(g); err != nil || !on {
		return c, false, nil, err
	}
	for key, p := range map[string]*string{"proto-lib": &c.ProtoLib, "conn-str": &c.ConnStr} {
		if *p, err = value(g, key); err != nil {
			return c, false, nil, err
		}
		if *p == "" {
			return c, false, nil, groupError(path, g, key+" is not set", "each [message-consumerN] needs proto-lib, conn-str and subscribe-topic-list")
		}
	}
	if c.ConfigFile, err = pathValue(path, g, "config-file"); err != nil {
		return c, false, nil, err
	}
	e, _ := g.Get("subscribe-topic-list")
	topics, err := e.Strings()
	if err != nil {
		return c, false, nil, err
	}
	for _, t := range topics {
		if t = strings.TrimSpace(t); t != "" && !slices.Contains(c.Topics, t) {
			c.Topics = append(c.Topics, t)
		}
	}
	if len(c.Topics) == 0 {
		return c, false, nil, groupError(path, g, "subscribe-topic-list names no topic", "write them as in subscribe-topic-list=commands;more")
	}
	sensors, err := pathValue(path, g, "sensor-list-file")
	if err != nil || sensors == "" {
		return c, err == nil, nil, err
	}
	c.Sensors, warnings, err = LoadSensors(sensors)
	return c, err == nil, warnings, err
}

// Sensors is a sensor list: which sensor is which source.
type Sensors struct {
	Path string
	List []Sensor // in the order of their numbers
}

// A Sensor is one [sensorN] group that is on.
type Sensor struct {
	Number  int    // N: the index of the source
	ID      string // as commands name it
	Element string // name of the element that records it; "" means that record-element says it
}

// Find is the sensor that a command calls id. It is safe on a nil list.
func (s *Sensors) Find(id string) (Sensor, bool) {
	if s != nil {
		for _, x := range s.List {
			if x.ID == id {
				return x, true
			}
		}
	}
	return Sensor{}, false
}

// SensorKeys are those of a [sensorN] group.
var SensorKeys = []string{"enable", "id", "element", "type", "location", "description", "coordinate"}

// LoadSensors reads the [sensorN] groups of a sensor list: enable, id and, an addition, element, the name of
// the element in the pipeline that records this sensor. The keys that such groups have in other files of
// DeepStream (type, location, description, coordinate) are accepted and without effect.
func LoadSensors(path string) (*Sensors, []dsconfig.Warning, error) {
	data, err := dsconfig.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return ReadSensors(path, data)
}

// ReadSensors is LoadSensors for a file that has been read.
func ReadSensors(path string, data []byte) (*Sensors, []dsconfig.Warning, error) {
	kf, err := dsconfig.ParseKeyData(path, data)
	if err != nil {
		return nil, nil, err
	}
	s := &Sensors{Path: path}
	lines := map[int]int{}
	for _, g := range kf.Groups {
		n, ours, err := numbered(path, g, "sensor")
		if err != nil || !ours {
			if err == nil {
				continue
			}
			return nil, kf.Warnings, err
		}
		if at, twice := lines[n]; twice {
			return nil, kf.Warnings, groupError(path, g, fmt.Sprintf("sensor%d stands in line %d already", n, at), "give each group a number of its own")
		}
		lines[n] = g.Line
		if err := onlyKeys(g, SensorKeys); err != nil {
			return nil, kf.Warnings, err
		}
		on, err := enabled(g)
		if err != nil {
			return nil, kf.Warnings, err
		}
		if !on {
			continue
		}
		x := Sensor{Number: n}
		if x.ID, err = value(g, "id"); err != nil {
			return nil, kf.Warnings, err
		}
		if x.Element, err = value(g, "element"); err != nil {
			return nil, kf.Warnings, err
		}
		if x.ID == "" {
			return nil, kf.Warnings, groupError(path, g, "id is not set", "write the sensor's id as commands name it, as in id=cam-1")
		}
		if other, twice := s.Find(x.ID); twice {
			e, _ := g.Get("id")
			return nil, kf.Warnings, e.Errorf("give each sensor an id of its own", "[sensor%d] has the same id", other.Number)
		}
		s.List = append(s.List, x)
	}
	if len(s.List) == 0 {
		return nil, kf.Warnings, &dsconfig.Error{File: path, Cause: "there is no [sensorN] group that is on", Remedy: "write [sensor0] with enable=1 and id=NAME"}
	}
	slices.SortFunc(s.List, func(a, b Sensor) int { return cmp.Compare(a.Number, b.Number) })
	return s, kf.Warnings, nil
}

// numbered reads a group name such as sensor0.
func numbered(path string, g *dsconfig.Group, prefix string) (n int, ours bool, err error) {
	tail, ours := strings.CutPrefix(g.Name, prefix)
	if !ours {
		return 0, false, nil
	}
	n, err = strconv.Atoi(tail)
	if err != nil || n < 0 || n > MaxNumber || strings.HasPrefix(tail, "+") || strings.HasPrefix(tail, "-") {
		return 0, false, groupError(path, g, "the group has no number of its own", fmt.Sprintf("write [%s0], up to [%s%d]", prefix, prefix, MaxNumber))
	}
	return n, true, nil
}

func onlyKeys(g *dsconfig.Group, keys []string) error {
	for _, e := range g.Entries {
		if slices.Contains(keys, e.Key) {
			continue
		}
		remedy := "remove it; known are " + strings.Join(keys, ", ")
		if n, ok := nearest.Of(e.Key, keys); ok {
			remedy = "did you mean " + n + "?"
		}
		return e.Warn("unknown key", remedy).Error()
	}
	return nil
}

// enabled is the key enable; a group without it is off, as in the reference.
func enabled(g *dsconfig.Group) (bool, error) {
	e, ok := g.Get("enable")
	if !ok {
		return false, nil
	}
	return e.Bool()
}

func value(g *dsconfig.Group, key string) (string, error) {
	e, ok := g.Get(key)
	if !ok {
		return "", nil
	}
	s, err := e.Text()
	return strings.TrimSpace(s), err
}

func pathValue(file string, g *dsconfig.Group, key string) (string, error) {
	s, err := value(g, key)
	if s == "" || err != nil || filepath.IsAbs(s) {
		return s, err
	}
	return filepath.Join(filepath.Dir(file), s), nil
}

func groupError(path string, g *dsconfig.Group, cause, remedy string) error {
	return &dsconfig.Error{File: path, Line: g.Line, Group: g.Name, Cause: cause, Remedy: remedy}
}
