// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// schema is how a message was understood.
type schema int

const (
	schemaOther   schema = iota // not one of DeepStream's JSON schemas
	schemaMinimal               // one message a frame, an object is a string
	schemaFull                  // one message an object
)

// described is what a message says about a picture.
type described struct {
	schema  schema
	frame   string // number of the frame; empty in the full schema
	time    string // as the message has it
	sensor  string
	place   string
	event   string
	objects []detected
}

// detected is one object.
type detected struct {
	id            string
	label         string
	box           [4]float64 // left, top, right, bottom in pixels
	confidence    float64
	hasConfidence bool
}

// wire holds the members of both schemas.
type wire struct {
	Version   *string          `json:"version"`
	MDS       *string          `json:"mdsversion"`
	ID        json.RawMessage  `json:"id"`
	Timestamp string           `json:"@timestamp"`
	SensorID  string           `json:"sensorId"`
	Objects   []string         `json:"objects"`
	Object    *json.RawMessage `json:"object"`
	Event     struct {
		Type string `json:"type"`
	} `json:"event"`
	Sensor *struct {
		ID string `json:"id"`
	} `json:"sensor"`
	Place *struct {
		Name string `json:"name"`
		ID   string `json:"id"`
	} `json:"place"`
}

// describe reads a message of DeepStream's minimal or full schema. Anything
// else gives schemaOther.
func describe(value []byte) described {
	var w wire
	if len(value) == 0 || json.Unmarshal(value, &w) != nil {
		return described{}
	}
	switch {
	case w.MDS != nil && w.Object != nil:
		return describeFull(&w)
	case w.Version != nil && w.Objects != nil:
		d := described{schema: schemaMinimal, time: w.Timestamp, sensor: w.SensorID}
		d.frame = strings.Trim(string(w.ID), `"`)
		for _, text := range w.Objects {
			if o, ok := parseObject(text); ok {
				d.objects = append(d.objects, o)
			}
		}
		return d
	}
	return described{}
}

// parseObject reads id|left|top|right|bottom|label|#|attribute…|confidence,
// which may end after the label and may go on with sections after another "#".
func parseObject(text string) (detected, bool) {
	f := strings.Split(text, "|")
	if len(f) < 6 {
		return detected{}, false
	}
	o := detected{id: f[0], label: f[5]}
	for i := range o.box {
		v, err := strconv.ParseFloat(f[1+i], 64)
		if err != nil {
			return detected{}, false
		}
		o.box[i] = v
	}
	if len(f) < 8 || f[6] != "#" {
		return o, true
	}
	attributes := f[7:]
	for i, a := range attributes {
		if a == "#" {
			attributes = attributes[:i]
			break
		}
	}
	if len(attributes) > 0 {
		v, err := strconv.ParseFloat(attributes[len(attributes)-1], 64)
		if err == nil {
			o.confidence, o.hasConfidence = v, true
		}
	}
	return o, true
}

// fullMembers are the members of the full schema's "object" that do not name
// its class: the one that is left does.
var fullMembers = map[string]bool{
	"id": true, "speed": true, "direction": true, "orientation": true, "bbox": true, "maskoutline": true,
	"signature": true, "location": true, "coordinate": true, "pose": true, "embedding": true, "SV3DT": true,
}

func describeFull(w *wire) described {
	d := described{schema: schemaFull, time: w.Timestamp, event: w.Event.Type}
	if w.Sensor != nil {
		d.sensor = w.Sensor.ID
	}
	if w.Place != nil {
		d.place = w.Place.Name
		if d.place == "" {
			d.place = w.Place.ID
		}
	}
	var common struct {
		ID  string `json:"id"`
		Box struct {
			Left   float64 `json:"topleftx"`
			Top    float64 `json:"toplefty"`
			Right  float64 `json:"bottomrightx"`
			Bottom float64 `json:"bottomrighty"`
		} `json:"bbox"`
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(*w.Object, &common) != nil || json.Unmarshal(*w.Object, &members) != nil {
		return d
	}
	o := detected{id: common.ID, box: [4]float64{common.Box.Left, common.Box.Top, common.Box.Right, common.Box.Bottom}}
	for name, raw := range members {
		if fullMembers[name] {
			continue
		}
		var class struct {
			Confidence *float64 `json:"confidence"`
		}
		if json.Unmarshal(raw, &class) != nil {
			continue
		}
		o.label = name
		if class.Confidence != nil {
			o.confidence, o.hasConfidence = *class.Confidence, true
		}
	}
	d.objects = []detected{o}
	return d
}

// compactJSON gives the message on one line if it is JSON.
func compactJSON(value []byte) (string, bool) {
	var b bytes.Buffer
	if len(bytes.TrimSpace(value)) == 0 || json.Compact(&b, value) != nil {
		return "", false
	}
	return b.String(), true
}
