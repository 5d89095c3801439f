// SPDX-License-Identifier: LGPL-2.1-or-later

package c2d

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// The commands that are understood here; every other name is the application's.
const (
	StartRecording = "start-recording"
	StopRecording  = "stop-recording"
	SetProperty    = "set-property" // arguments: element, property, value
)

// MaxText bounds the name, sensor, id and reply topic of a command, in bytes.
const MaxText = 249

// A Command is a command of the cloud.
type Command struct {
	Name      string
	Sensor    string  // "" when the command names none
	Arguments *Object // nil when the command has none
	ReplyTo   string  // topic for the reply; "" means none was named
	ID        string  // the sender's own mark, which the reply repeats
	Recording *Recording
	Ignored   []string // members that nobody here knows
}

// A Recording is what start-recording asks for. The zero End means "until stopped".
type Recording struct {
	Start, End time.Time
	Session    uint64 // of stop-recording: which one; 0 means the one that runs
}

// Back is how far before now the recording is to begin. A start in the future is now.
func (r *Recording) Back(now time.Time) time.Duration { return max(now.Sub(r.Start), 0) }

// Duration is how long it is to be, 0 without an end.
func (r *Recording) Duration() time.Duration {
	if r.End.IsZero() {
		return 0
	}
	return r.End.Sub(r.Start)
}

var known = []string{"command", "sensor", "start", "end", "session", "arguments", "reply-to", "id"}

// ParseCommand reads a command. A command that is refused is returned as far as it could be read (never
// nil), so that the reason can be sent to its reply topic.
func ParseCommand(data []byte) (*Command, error) {
	c := &Command{}
	o, err := parseObject(data)
	if err != nil {
		return c, err
	}
	// Somebody may name a topic of commands for a reply.
	if _, status := o.Get("status"); status {
		if _, at := o.Get("time"); at {
			return c, errors.New(`it is a reply ("status" and "time"), not a command`)
		}
	}
	// Where a reply goes comes first: what is wrong with the rest can then be answered.
	for _, f := range []func(*Object) error{c.readReply, c.readNames, c.readRecording} {
		if err := f(o); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *Command) readReply(o *Object) (err error) {
	if v, ok := o.Get("id"); ok {
		if n, isNumber := v.(fmt.Stringer); isNumber { // json.Number
			v = n.String()
		}
		id, ok := v.(string)
		if !ok {
			return errors.New(`"id" is neither a text nor a number`)
		}
		if len(id) > MaxText {
			return fmt.Errorf(`"id" is longer than %d bytes`, MaxText)
		}
		c.ID = id
	}
	if c.ReplyTo, err = text(o, "reply-to"); err != nil {
		return err
	}
	if strings.ContainsFunc(c.ReplyTo, unicode.IsSpace) {
		c.ReplyTo = ""
		return errors.New(`"reply-to" is no topic: it holds a blank`)
	}
	return nil
}

func (c *Command) readNames(o *Object) (err error) {
	if c.Name, err = text(o, "command"); err != nil {
		return err
	}
	if _, there := o.Get("command"); there && c.Name == "" {
		return errors.New(`"command" is empty`)
	}
	if c.Sensor, err = sensor(o); err != nil {
		return err
	}
	if v, ok := o.Get("arguments"); ok {
		if c.Arguments, ok = v.(*Object); !ok {
			return errors.New(`"arguments" is not an object`)
		}
	}
	for _, m := range o.Members {
		if slices.Contains(known, m.Name) {
			continue
		}
		// A mistyped "end" would record without end: what looks like a known name is refused.
		if n, ok := nearest.Of(m.Name, known); ok {
			return fmt.Errorf("unknown member %q: did you mean %q?", clip(m.Name), n)
		}
		c.Ignored = append(c.Ignored, clip(m.Name))
	}
	return nil
}

func (c *Command) readRecording(o *Object) (err error) {
	start, err := text(o, "start")
	if err != nil {
		return err
	}
	end, err := text(o, "end")
	if err != nil {
		return err
	}
	if c.Name == "" {
		// The reference takes a message without a command for start-recording.
		if start == "" {
			return errors.New(`"command" is missing`)
		}
		c.Name = StartRecording
	}
	r := &Recording{}
	if v, ok := o.Get("session"); ok {
		n, isNumber := v.(interface{ Int64() (int64, error) })
		if !isNumber {
			return errors.New(`"session" is not a number`)
		}
		i, err := n.Int64()
		if err != nil || i < 0 || i > 1<<32-1 {
			return errors.New(`"session" is not a whole number from 0 to 4294967295`)
		}
		r.Session = uint64(i)
	}
	switch c.Name {
	case StopRecording:
	case StartRecording:
		if start == "" {
			return errors.New(`"start" is missing: say when the recording begins, as in 2020-05-18T20:02:00.051Z`)
		}
		if r.Start, err = parseTime("start", start); err != nil {
			return err
		}
		if end != "" {
			if r.End, err = parseTime("end", end); err != nil {
				return err
			}
			if !r.End.After(r.Start) {
				return errors.New(`"end" is not after "start"`)
			}
		}
	default:
		return nil
	}
	if c.Sensor == "" {
		return errors.New(`"sensor" is missing: say which, as in "sensor": {"id": "cam-1"}`)
	}
	c.Recording = r
	return nil
}

// parseTime reads a time of RFC 3339, section 5.6. Its zone must be told: a time that depends on where the
// device stands is an hour off twice a year.
func parseTime(name, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	if err != nil || strings.Contains(s, ",") {
		return t, fmt.Errorf("%q is no time: write it as in 2020-05-18T20:02:00.051Z (RFC 3339, with Z or an offset)", name)
	}
	return t.UTC(), nil
}

// text reads a member that is a text, "" when there is none. Blanks around it are dropped.
func text(o *Object, name string) (string, error) {
	v, ok := o.Get(name)
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%q is not a text", name)
	}
	return checked(name, s)
}

func checked(name, s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) > MaxText {
		return "", fmt.Errorf("%q is longer than %d bytes", name, MaxText)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", fmt.Errorf("%q holds a control character", name)
	}
	return s, nil
}

// sensor reads {"id": "…"}, as the reference writes it, or just "…".
func sensor(o *Object) (string, error) {
	v, ok := o.Get("sensor")
	if !ok {
		return "", nil
	}
	switch v := v.(type) {
	case string:
		return checked("sensor", v)
	case *Object:
		id, err := text(v, "id")
		if err == nil && id == "" {
			err = errors.New(`"sensor" has no "id"`)
		}
		return id, err
	}
	return "", errors.New(`"sensor" is neither a text nor an object with "id"`)
}
