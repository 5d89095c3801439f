// SPDX-License-Identifier: LGPL-2.1-or-later

package cloud

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
)

// maxSessions bounds the recordings whose end is still to be told.
const maxSessions = 1024

// record carries out start-recording and stop-recording, unless the application does.
func (c *Cloud) record(p *pending, in *adapters.Incoming) {
	handle, err := c.wait(p)
	if err != nil {
		c.refuse(p, in, err)
		return
	}
	r := p.cmd.Recording
	var back, duration uint64
	start := p.cmd.Name == c2d.StartRecording
	if start {
		back, duration = uint64(r.Back(time.Now()).Milliseconds()), uint64(r.Duration().Milliseconds())
	}
	handled, _ := c.o.Element.Emit("recording-command", p.cmd.Name, p.cmd.Sensor, back, duration, handle).(bool)
	m := gst.Structure{Name: "recording-command"}
	m.Add("command", p.cmd.Name)
	m.Add("sensor", p.cmd.Sensor)
	if start {
		m.Add("start", r.Start.Format("2006-01-02T15:04:05.000Z"))
		if !r.End.IsZero() {
			m.Add("end", r.End.Format("2006-01-02T15:04:05.000Z"))
		}
		m.Add("back", back)
		m.Add("duration", duration)
	} else {
		m.Add("session", r.Session)
	}
	here := !handled && c.o.Record != "" // it is done below
	c.post(m, p, in, handle, handled || here)
	if !handled && !here {
		return // the application answers, or time does
	}
	if p = c.claim(handle); p == nil {
		return // answered by the application
	}
	if handled {
		c.answer(p, p.cmd.Reply(c2d.Done, ""))
		return
	}
	name, err := c.recorderOf(p)
	if err == nil {
		err = c.drive(p, name, back, duration)
	}
	if err != nil {
		c.refuse(p, in, err)
	}
}

// recorderOf is the name of the element that records a sensor.
func (c *Cloud) recorderOf(p *pending) (string, error) {
	sensor, listed := p.src.Sensors.Find(p.cmd.Sensor)
	switch {
	case p.src.Sensors != nil && !listed:
		return "", fmt.Errorf("sensor %q is not in the list", p.cmd.Sensor)
	case sensor.Element != "":
		return sensor.Element, nil
	case !strings.Contains(c.o.Record, "%u"):
		return c.o.Record, nil
	case !listed:
		// Without a list the reference takes the id for the number of the source: only where it is one.
		n, err := strconv.ParseUint(p.cmd.Sensor, 10, 16)
		if err != nil {
			return "", fmt.Errorf("sensor %q is no number from 0 to %d, and there is no sensor list", p.cmd.Sensor, c2d.MaxNumber)
		}
		sensor.Number = int(n)
	}
	return strings.Replace(c.o.Record, "%u", strconv.Itoa(sensor.Number), 1), nil
}

func (c *Cloud) drive(p *pending, name string, back, duration uint64) error {
	e, err := find(c.o.Element, name)
	if err != nil {
		return err
	}
	defer e.unref()
	if p.cmd.Name == c2d.StopRecording {
		session, err := e.stopRecording(uint32(p.cmd.Recording.Session))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r := p.cmd.Reply(c2d.Done, "")
		r.Session = session
		c.answer(p, r)
		return nil
	}
	c.recording.Lock()
	defer c.recording.Unlock()
	told, err := c.listen(e)
	if err != nil {
		return err
	}
	session, missing, err := e.startRecording(back, duration, p.cmd.ID)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if told && session != 0 {
		c.mu.Lock()
		if len(c.sessions) < maxSessions && !c.closed {
			c.sessions[sessionKey{unsafe.Pointer(e.p), session}] = p
		}
		c.mu.Unlock()
	}
	reason := ""
	if missing > 0 {
		reason = fmt.Sprintf("the cache does not reach back far enough: the first %d ms are missing", missing)
	}
	r := p.cmd.Reply(c2d.Started, reason)
	r.Session = session
	c.answer(p, r)
	return nil
}

// listen hears of the end of the element's recordings, from now on. It reports whether the element tells.
func (c *Cloud) listen(e other) (bool, error) {
	key := unsafe.Pointer(e.p)
	c.mu.Lock()
	h, known := c.heard[key]
	closed := c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return false, errors.New("the element is stopping")
	case known:
		return h.connection != 0, nil
	}
	h = hearing{element: e.ref(), connection: e.hear(c.handle)}
	c.mu.Lock()
	if closed = c.closed; !closed {
		c.heard[key] = h
	}
	c.mu.Unlock()
	if closed {
		h.element.forget(h.connection)
		h.element.unref()
		return false, errors.New("the element is stopping")
	}
	return h.connection != 0, nil
}

// recorded is told of a recording that has ended, on a thread of the element that recorded.
func (c *Cloud) recorded(element unsafe.Pointer, info gst.Structure) {
	session, _ := info.Get("session").(uint32)
	key := sessionKey{element, session}
	c.recording.Lock()
	c.mu.Lock()
	p := c.sessions[key]
	delete(c.sessions, key)
	c.mu.Unlock()
	c.recording.Unlock()
	if p == nil {
		return // somebody else's
	}
	r := p.cmd.Reply(c2d.Done, "")
	if why, _ := info.Get("error").(string); why != "" {
		r.Status, r.Reason = c2d.Failed, why
	}
	r.Session = session
	r.Result = object(info)
	c.answer(p, r)
}
