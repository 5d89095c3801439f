// SPDX-License-Identifier: LGPL-2.1-or-later

package c2d

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Bounds of a command. What is larger is refused: it is no command but a mistake or an attack.
const (
	MaxSize   = 256 << 10 // bytes of JSON
	MaxDepth  = 16        // objects and lists inside each other
	MaxValues = 4096      // values in one command
)

// A Value is a JSON value: nil, bool, json.Number, string, []Value or *Object.
type Value any

// An Object is a JSON object with its members in the order of the text.
type Object struct{ Members []Member }

// A Member is one name and value of an Object.
type Member struct {
	Name  string
	Value Value
}

// Get is the value called name, and whether there is one. It is safe on a nil Object.
func (o *Object) Get(name string) (Value, bool) {
	if o == nil {
		return nil, false
	}
	for _, m := range o.Members {
		if m.Name == name {
			return m.Value, true
		}
	}
	return nil, false
}

// MarshalJSON writes the members in their order.
func (o *Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o.Members {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.Value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// parser reads JSON more strictly than encoding/json: a name that stands twice in an object, bytes that are
// not UTF-8 and anything behind the value are errors, and so is what is beyond the bounds.
type parser struct {
	dec    *json.Decoder
	values int
}

func parseObject(data []byte) (*Object, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(data), MaxSize)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not valid UTF-8")
	}
	p := &parser{dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	v, err := p.value(0)
	if err != nil {
		return nil, readable(err)
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, errors.New("it is not a JSON object")
	}
	return o, nil
}

func readable(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is not JSON: it ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON: %s at byte %d", syntax.Error(), syntax.Offset)
	}
	return err
}

func (p *parser) value(depth int) (Value, error) {
	if p.values++; p.values > MaxValues {
		return nil, fmt.Errorf("it has more than %d values", MaxValues)
	}
	t, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= MaxDepth {
		return nil, fmt.Errorf("objects and lists are nested deeper than %d", MaxDepth)
	}
	if d == '[' {
		list := []Value{}
		for p.dec.More() {
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := p.dec.Token()
		return list, err
	}
	o := &Object{}
	seen := map[string]bool{}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("it is not JSON: the name of a member is not a string")
		}
		if seen[name] {
			return nil, fmt.Errorf("%q stands twice in an object", clip(name))
		}
		seen[name] = true
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o.Members = append(o.Members, Member{name, v})
	}
	_, err = p.dec.Token()
	return o, err
}

// clip keeps a text of the sender fit for a log line or a reply.
func clip(s string) string {
	const most = 64
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
