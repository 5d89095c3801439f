// SPDX-License-Identifier: LGPL-2.1-or-later

// Package cloud carries out what a cloud sends to a device (package c2d): recordings and what allow-set lists
// are done here, everything else is handed to the application as signals and messages on the bus. Each
// command is answered. It is a part of elements that receive messages; it has no network of its own.
package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
)

// Bounds of commands that wait for the application's answer.
const (
	MaxPending   = 1024
	ReplyTimeout = 30 * time.Second
)

// Options say what commands may do.
type Options struct {
	Element *gst.Element // whose class has Signals
	Log     *gst.Category
	// Record is the name of the element that records, or a pattern with %u for the number of the sensor;
	// "" leaves recordings to the application.
	Record string
	Allow  c2d.Allow     // what set-property may set
	Wait   time.Duration // for the application's answer; 0 means ReplyTimeout
}

// A Source is where commands come from, and replies go to.
type Source struct {
	Name    string // for logs
	Sensors *c2d.Sensors
	// Publish sends a reply to the topic that a command names. It does not wait for the network.
	Publish func(topic string, payload []byte) error
}

// Cloud carries out commands. Its methods are safe for use by many goroutines.
type Cloud struct {
	o      Options
	handle uintptr

	// recording is held while a recording is started, so that sr-done is not heard before its session is known.
	// Lock order: recording, then mu, which is never held while something else is called.
	recording sync.Mutex
	mu        sync.Mutex
	closed    bool
	pending   map[string]*pending
	next      uint64
	sessions  map[sessionKey]*pending // recordings that go on
	heard     map[unsafe.Pointer]hearing
	warned    time.Time
}

type sessionKey struct {
	element unsafe.Pointer
	session uint32
}

type hearing struct {
	element    other
	connection uint64
}

// pending is a command without its answer.
type pending struct {
	cmd    *c2d.Command
	src    *Source
	reply  func(status int, payload []byte) error
	timer  *time.Timer
	native bool // the protocol's own reply was given
	mu     sync.Mutex
}

// New begins.
func New(o Options) *Cloud {
	if o.Wait == 0 {
		o.Wait = ReplyTimeout
	}
	c := &Cloud{o: o, pending: map[string]*pending{}, sessions: map[sessionKey]*pending{}, heard: map[unsafe.Pointer]hearing{}}
	c.handle = gst.NewHandle(c)
	return c
}

// Close ends: commands that wait for the application are answered as failed. Recordings go on.
func (c *Cloud) Close() {
	// Not under recording: a handler that a recording calls as it starts may be the one that closes us.
	c.mu.Lock()
	left := slices.Collect(maps.Values(c.pending))
	heard := slices.Collect(maps.Values(c.heard))
	clear(c.pending)
	clear(c.heard)
	clear(c.sessions)
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	for _, p := range left {
		p.timer.Stop()
		c.answer(p, p.cmd.Reply(c2d.Failed, "the element was stopped before the application answered"))
	}
	for _, h := range heard {
		h.element.forget(h.connection)
		h.element.unref()
	}
	if !was {
		gst.DropHandle(c.handle)
	}
}

// Handle carries a command out. It waits for the application's handlers, never for the network.
func (c *Cloud) Handle(src *Source, in *adapters.Incoming) {
	cmd, err := c2d.ParseCommand(in.Payload)
	p := &pending{cmd: cmd, src: src, reply: in.Reply}
	if err != nil {
		c.refuse(p, in, err)
		return
	}
	if len(cmd.Ignored) > 0 {
		c.o.Log.Log(gst.LevelInfo, c.o.Element, "%s: %s: members that nobody here knows are ignored: %s", src.Name, cmd.Name, strings.Join(cmd.Ignored, ", "))
	}
	switch {
	case cmd.Recording != nil:
		c.record(p, in)
	case cmd.Name == c2d.SetProperty:
		c.set(p, in)
	default:
		c.ask(p, in)
	}
}

// refuse answers what is no command, or not allowed.
func (c *Cloud) refuse(p *pending, in *adapters.Incoming, err error) {
	c.o.Log.Log(gst.LevelWarning, c.o.Element, "%s: a command on %s is refused: %v", p.src.Name, in.Topic, err)
	m := gst.Structure{Name: "cloud-command-refused"}
	m.Add("source", p.src.Name)
	m.Add("topic", in.Topic)
	m.Add("command", p.cmd.Name)
	m.Add("id", p.cmd.ID)
	m.Add("reason", err.Error())
	if c.due() { // a flood of garbage must not fill the bus
		c.o.Element.PostMessage(m)
	}
	c.answer(p, p.cmd.Reply(c2d.Refused, err.Error()))
}

// due lets one of many events a second through.
func (c *Cloud) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.warned) >= time.Second {
		c.warned = now
		return true
	}
	return false
}

// answer sends a reply where the command, or the protocol, has a place for it.
func (c *Cloud) answer(p *pending, r c2d.Reply) {
	payload := r.JSON()
	p.mu.Lock()
	native := p.reply
	if p.native {
		native = nil
	}
	p.native = true
	p.mu.Unlock()
	if native != nil {
		if err := native(r.Status.HTTP(), payload); err != nil {
			c.o.Log.Log(gst.LevelWarning, c.o.Element, "%s: no reply to %s: %v", p.src.Name, p.cmd.Name, err)
		}
	}
	if p.cmd.ReplyTo != "" && p.src.Publish != nil {
		if err := p.src.Publish(p.cmd.ReplyTo, payload); err != nil {
			c.o.Log.Log(gst.LevelWarning, c.o.Element, "%s: no reply to %s on %s: %v", p.src.Name, p.cmd.Name, p.cmd.ReplyTo, err)
		}
	}
	c.o.Log.Log(gst.LevelInfo, c.o.Element, "%s: %s %s: %s %s", p.src.Name, p.cmd.Name, p.cmd.ID, r.Status, r.Reason)
}

// wait gives a command a handle, by which the application answers it.
func (c *Cloud) wait(p *pending) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return "", fmt.Errorf("the element is stopping")
	case len(c.pending) >= MaxPending:
		return "", fmt.Errorf("%d commands wait for an answer already", len(c.pending))
	}
	c.next++
	handle := strconv.FormatUint(c.next, 10)
	c.pending[handle] = p
	p.timer = time.AfterFunc(c.o.Wait, func() {
		defer func() {
			if v := recover(); v != nil {
				c.o.Element.Panicked("answering a command", v)
			}
		}()
		if p := c.claim(handle); p != nil {
			c.answer(p, p.cmd.Reply(c2d.Refused, "nobody here knows this command, or it took too long"))
		}
	})
	return handle, nil
}

// claim takes a command that waits; nil when it was answered.
func (c *Cloud) claim(handle string) *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[handle]
	delete(c.pending, handle)
	if p != nil {
		p.timer.Stop()
	}
	return p
}

// ask hands a command to the application: the signal first, and the bus in any case. A handler that returns
// TRUE has carried it out; who answers later keeps the handle.
func (c *Cloud) ask(p *pending, in *adapters.Incoming) {
	var handle string
	err := nameable(p.cmd.Arguments)
	if err == nil {
		handle, err = c.wait(p)
	}
	if err != nil {
		c.refuse(p, in, err)
		return
	}
	args := structure("arguments", p.cmd.Arguments)
	handled, _ := c.o.Element.Emit("cloud-command", p.cmd.Name, p.cmd.Sensor, args, handle).(bool)
	m := gst.Structure{Name: "cloud-command"}
	m.Add("command", p.cmd.Name)
	m.Add("sensor", p.cmd.Sensor)
	m.Add("arguments", args)
	if p.cmd.Arguments != nil {
		if text, err := json.Marshal(p.cmd.Arguments); err == nil {
			m.Add("arguments-json", string(text))
		}
	}
	c.post(m, p, in, handle, handled)
	if handled {
		if p := c.claim(handle); p != nil {
			c.answer(p, p.cmd.Reply(c2d.Done, ""))
		}
	}
}

func (c *Cloud) post(m gst.Structure, p *pending, in *adapters.Incoming, handle string, handled bool) {
	m.Add("id", p.cmd.ID)
	m.Add("source", p.src.Name)
	m.Add("topic", in.Topic)
	m.Add("handle", handle)
	m.Add("handled", handled)
	c.o.Element.PostMessage(m)
}

// Reply is the application's answer to a command. It reports whether the command still waited for one.
func (c *Cloud) Reply(handle, status, reason string, result gst.Structure, hasResult bool) bool {
	s := c2d.Status(status)
	switch s {
	case c2d.Done, c2d.Refused, c2d.Failed:
	default:
		c.o.Element.Warning(gst.LibrarySettings, c.o.Element.Name()+": cloud-reply: the status is ok, refused or failed.", "status "+status)
		return false
	}
	p := c.claim(handle)
	if p == nil {
		return false
	}
	r := p.cmd.Reply(s, reason)
	if hasResult {
		r.Result = object(result)
	}
	c.answer(p, r)
	return true
}

// set carries out set-property.
func (c *Cloud) set(p *pending, in *adapters.Incoming) {
	s, err := p.cmd.Setting()
	if err == nil && !c.o.Allow.Has(s.Element, s.Property) {
		err = fmt.Errorf("%s.%s may not be set from the cloud (allow-set does not list it)", s.Element, s.Property)
	}
	if err != nil {
		c.refuse(p, in, err)
		return
	}
	e, err := find(c.o.Element, s.Element)
	if err != nil {
		c.refuse(p, in, err)
		return
	}
	defer e.unref()
	if err := e.set(s.Property, s.Value); err != nil {
		c.refuse(p, in, fmt.Errorf("%s.%s: %w", s.Element, s.Property, err))
		return
	}
	m := gst.Structure{Name: "cloud-set"}
	m.Add("element", s.Element)
	m.Add("property", s.Property)
	m.Add("value", value(s.Value))
	c.post(m, p, in, "", true)
	c.answer(p, p.cmd.Reply(c2d.Done, ""))
}
