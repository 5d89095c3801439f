// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/payloadmeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
	"github.com/gst-edgewire/gst-edgewire/pkg/route"
)

// Fields that this element knows by itself.
const (
	fieldTopic  = "topic"
	fieldCompID = "comp-id"
)

// fieldNames are what a template may name beside paths.
var fieldNames = route.Known{
	Names: append(payload.FieldNames(), fieldTopic, fieldCompID), Path: payload.FieldPath, Is: payload.IsAttributeField,
}

// A router makes topic, key and headers of a message. It does not change once it is in use.
type router struct {
	topic, key *route.Template // nil: the element's topic, the key that came with the payload
	path       *route.Field    // partition-key of the configuration, where key is nil
	headers    []header
	fixed      adapters.Headers // all of headers, if none of them has a field
	rules      adapters.TopicRules
}

type header struct {
	name  string
	value *route.Template
}

// newRouter reads the properties; nil, which costs nothing, when there is nothing to do.
func (set *settings) newRouter(partitionKey string, rules adapters.TopicRules) (*router, error) {
	r := &router{rules: rules}
	var err error
	parse := func(property, text string) (t *route.Template) {
		if text != "" && err == nil {
			if t, err = route.Parse(text, &fieldNames); err != nil {
				err = fmt.Errorf("%s: %w", property, err)
			}
		}
		return t
	}
	r.topic, r.key = parse("topic-template", set.topicTemplate), parse("key-template", set.keyTemplate)
	for _, e := range splitUnescaped(set.messageHeaders, ';') {
		name, value, ok := strings.Cut(e, "=")
		if name = strings.TrimSpace(name); name == "" && value == "" && !ok {
			continue
		}
		if !ok || name == "" {
			return nil, fmt.Errorf("message-headers: %q is no header; write NAME=VALUE, several with semicolons between them (\\; is one in a value)", e)
		}
		if name == adapters.SessionHeader || name == adapters.NumberHeader {
			return nil, fmt.Errorf("message-headers: the name %s belongs to sequence-headers; choose another one", name)
		}
		if t := parse("message-headers", value); t != nil {
			r.headers = append(r.headers, header{name, t})
		} else if err == nil {
			empty, _ := route.Parse("", &fieldNames)
			r.headers = append(r.headers, header{name, empty})
		}
	}
	if err != nil {
		return nil, err
	}
	if r.topic != nil {
		if err := r.lintTopic(); err != nil {
			return nil, err
		}
	}
	if r.key == nil && partitionKey != "" {
		p, err := route.ParsePath(partitionKey)
		if err != nil {
			return nil, fmt.Errorf("partition-key: %w", err)
		}
		r.path = &route.Field{Name: route.JSONPrefix + partitionKey, Path: p}
	}
	if !slices.ContainsFunc(r.headers, func(h header) bool { return len(h.value.Fields()) > 0 }) {
		for _, h := range r.headers {
			r.fixed = r.fixed.AppendString(h.name, h.value.Literals()[0])
		}
	}
	if r.topic == nil && r.key == nil && r.path == nil && r.headers == nil {
		return nil, nil
	}
	return r, nil
}

// lintTopic checks the fixed part of the template, with the defaults or an x for the fields.
func (r *router) lintTopic() error {
	sample, _ := r.topic.Append(nil, func(dst []byte, f *route.Field) ([]byte, bool) {
		if f.Default != "" {
			return dst, false
		}
		return append(dst, 'x'), true
	})
	if err := r.rules.CheckTopic(string(sample)); err != nil {
		return fmt.Errorf("topic-template: with values its topics look like %q: %w", sample, err)
	}
	return nil
}

// splitUnescaped cuts text at sep, which \ in front makes a character like others.
func splitUnescaped(text string, sep byte) (parts []string) {
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && text[i+1] == sep:
			part.WriteByte(sep)
			i++
		case c == sep:
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String())
}

// wanted are the fields that payloads had better carry: those that somebody else knows.
func (r *router) wanted() (names []string) {
	if r == nil {
		return nil
	}
	add := func(fields []route.Field) {
		for _, f := range fields {
			if f.Name != fieldTopic && f.Name != fieldCompID && !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	for _, t := range []*route.Template{r.topic, r.key} {
		if t != nil {
			add(t.Fields())
		}
	}
	if r.path != nil {
		add([]route.Field{*r.path})
	}
	for _, h := range r.headers {
		add(h.value.Fields())
	}
	return names
}

// A routing is the memory for the parts of one message after the other.
type routing struct {
	topic, key []byte
	headers    adapters.Headers
	value      []byte

	// Of the message that is being looked at.
	r    *router
	p    payloadmeta.Payload
	own  string // the element's topic
	json bool

	forTopic, plain func([]byte, *route.Field) ([]byte, bool) // topicValue and field, made once
}

// apply sets topic, key and headers of m, which is made of p. The slices are valid until the next call.
func (w *routing) apply(r *router, m *broker.Message, p *payloadmeta.Payload, own string) {
	if w.plain == nil {
		w.forTopic, w.plain = w.topicValue, w.field
	}
	w.r, w.p, w.own = r, *p, own
	w.json = p.ContentType != payload.ContentTypeProtobuf
	m.Topic = own
	if r.topic != nil {
		if text, ok := r.topic.Append(w.topic[:0], w.forTopic); ok && len(text) > 0 {
			if n := r.rules.MaxTopic(); len(text) > n {
				text = text[:n]
			}
			w.topic = text
			m.Topic = unsafe.String(unsafe.SliceData(text), len(text))
		}
	}
	switch {
	case r.key != nil:
		w.key, _ = r.key.Append(w.key[:0], w.plain)
		m.Key = w.key
	case r.path != nil:
		w.key, _ = w.field(w.key[:0], r.path)
		m.Key = w.key
	}
	switch {
	case r.fixed != nil:
		m.Headers = r.fixed
	case r.headers != nil:
		w.headers = w.headers[:0]
		for _, h := range r.headers {
			value, ok := h.value.Append(w.value[:0], w.plain)
			w.value = value[:0]
			if ok {
				w.headers = w.headers.Append(h.name, value)
			}
		}
		m.Headers = w.headers
	}
	w.p = payloadmeta.Payload{}
}

// topicValue is field with what a topic cannot hold replaced.
func (w *routing) topicValue(dst []byte, f *route.Field) ([]byte, bool) {
	was := len(dst)
	dst, ok := w.field(dst, f)
	if !ok || f.Name == fieldTopic {
		return dst, ok
	}
	for i := was; i < len(dst); i++ {
		if !w.r.rules.TopicByte(dst[i]) {
			dst[i] = '_'
		}
	}
	return dst, true
}

// field appends the value of a field: what came with the payload, what is known here, or what the payload says.
func (w *routing) field(dst []byte, f *route.Field) ([]byte, bool) {
	switch f.Name {
	case fieldTopic:
		return append(dst, w.own...), w.own != ""
	case fieldCompID:
		return strconv.AppendUint(dst, uint64(w.p.CompID), 10), true
	}
	if len(w.p.Fields) > 0 {
		if v, ok := w.p.Fields.Get(f.Name); ok {
			return append(dst, v...), len(v) > 0
		}
	}
	bare := strings.TrimPrefix(f.Name, route.JSONPrefix)
	if w.p.Key != "" && (bare == "sensor.id" || bare == "sensorId") {
		return append(dst, w.p.Key...), true
	}
	if !w.json {
		if bare == "sensor.id" || bare == "sensorId" {
			id, ok := route.FrameSensor(w.p.Data)
			return append(dst, id...), ok
		}
		return dst, false
	}
	if f.Path == nil {
		return dst, false
	}
	if out, ok := route.Scan(dst, w.p.Data, f.Path); ok {
		return out, true
	}
	if bare == "sensor.id" { // of a message in the minimal schema
		return route.Scan(dst, w.p.Data, minimalSensor)
	}
	return dst, false
}

var minimalSensor = route.Path{"sensorId"}

// reroute takes over properties that were changed while the stream plays; what cannot work is told, and the
// former ones stay in force.
func (s *sink) reroute() {
	conn := s.connection()
	if conn == nil {
		return
	}
	s.mu.Lock()
	set, rules := s.set, s.rules
	s.mu.Unlock()
	r, err := set.newRouter(conn.PartitionKey(), rules)
	if err != nil {
		s.Warning(gst.ResourceSettings, "msgbroker: "+err.Error()+". The former routing stays in force.", "")
		return
	}
	s.router.Store(r)
	s.ask()
}

// ask tells the elements in front of us which fields of the messages are wanted.
func (s *sink) ask() {
	if names := s.router.Load().wanted(); len(names) > 0 {
		s.PushUpstream(payloadmeta.FieldsEvent(names))
	}
}
