// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"encoding/base64"
	"hash/maphash"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A received message waits here for Ack. Acknowledgements leave in the order in which the messages came
// (MQTT-4.6.0-2), so that one that is not acknowledged holds back those after it.
type arrival struct {
	id    uint16
	qos   byte
	acked bool
	dead  bool // the server has forgotten it: no acknowledgement
	await bool // of a lost connection: the server is to send it again before it can be acknowledged
	hash  uint64
}

// A token is the Token of an Incoming.
type token struct {
	epoch  uint32
	number uint64
}

// arrivals holds what was handed out, and what QoS 2 must remember.
type arrivals struct {
	list     []arrival // list[0] has the number first
	first    uint64
	open     int    // handed out and not acknowledged
	epoch    uint32 // a new one when the server has forgotten the session
	releases map[uint16]bool
	seed     maphash.Seed
}

func newArrivals() arrivals {
	return arrivals{releases: map[uint16]bool{}, seed: maphash.MakeSeed()}
}

// forget is for a session that the server has lost.
func (a *arrivals) forget() {
	a.list, a.first, a.open = nil, 0, 0
	a.epoch++
	clear(a.releases)
}

// resume is for a new connection with the session kept: what is not acknowledged comes again.
func (a *arrivals) resume() {
	for i := range a.list {
		a.list[i].await = a.list[i].qos > 0
	}
}

// known looks for a message that was handed out and comes again because the connection was lost before its
// acknowledgement. An identifier that the server has given to another message means that the old one is dead.
func (a *arrivals) known(id uint16, dup bool, hash uint64) bool {
	for i := range a.list {
		x := &a.list[i]
		if x.id != id || x.qos == 0 || x.dead {
			continue
		}
		if dup && x.hash == hash {
			x.await = false
			return true
		}
		x.dead = true
	}
	if !dup { // the server sends what is under way first: it has forgotten what has not come by now
		for i := range a.list {
			a.list[i].dead = a.list[i].dead || a.list[i].await
		}
	}
	return false
}

// add notes a message that is handed out.
func (a *arrivals) add(x arrival) token {
	t := token{a.epoch, a.first + uint64(len(a.list))}
	a.list = append(a.list, x)
	a.open++
	return t
}

// ack marks a message as taken.
func (a *arrivals) ack(t token) {
	if t.epoch != a.epoch || t.number < a.first || t.number-a.first >= uint64(len(a.list)) {
		return
	}
	if x := &a.list[t.number-a.first]; !x.acked {
		x.acked = true
		a.open--
	}
}

// acknowledge appends the acknowledgements that are due.
func (a *arrivals) acknowledge(b []byte) []byte {
	n := 0
	for ; n < len(a.list) && a.list[n].acked; n++ {
		x := &a.list[n]
		if x.await && !x.dead {
			break
		}
		switch {
		case x.dead || x.qos == 0:
		case x.qos == 1:
			b = appendAck(b, typePuback, x.id, 0)
		default:
			b = appendAck(b, typePubrec, x.id, 0)
			a.releases[x.id] = true
		}
	}
	if n > 0 {
		a.first += uint64(n)
		rest := copy(a.list, a.list[n:])
		a.list = a.list[:rest]
	}
	return b
}

// A publication is a parsed PUBLISH; its slices are views.
type publication struct {
	topic, payload []byte
	id             uint16
	qos            byte
	dup, retain    bool
	headers        adapters.Headers
	response       []byte
	correlation    []byte
}

func parsePublish(first byte, body []byte, v Version) (publication, error) {
	c := cursor{b: body}
	p := publication{qos: first >> 1 & 3, dup: first&8 != 0, retain: first&1 != 0, topic: c.text()}
	if p.qos > 0 {
		p.id = c.u16()
	}
	if v == V5 {
		c.props(func(id byte, _ uint32, a, b []byte) {
			switch id {
			case propUser:
				p.headers = appendHeader(p.headers, string(a), b)
			case propContentType:
				p.headers = p.headers.Append("content-type", a)
			case propResponseTopic:
				p.response = a
			case propCorrelation:
				p.correlation = a
			case propTopicAlias:
				c.bad = true // we allow none
			}
		})
	}
	if c.bad || p.qos == 3 || (p.qos > 0 && p.id == 0) || len(p.topic) == 0 {
		return p, errMalformed
	}
	p.payload = c.b
	return p, nil
}

// appendHeader is the reverse of userProps.
func appendHeader(h adapters.Headers, name string, value []byte) adapters.Headers {
	if short, ok := strings.CutSuffix(name, Base64Suffix); ok {
		if raw, err := base64.StdEncoding.AppendDecode(nil, value); err == nil {
			return h.Append(short, raw)
		}
	}
	return h.Append(name, value)
}

func (a *arrivals) hash(p *publication) uint64 {
	var h maphash.Hash
	h.SetSeed(a.seed)
	_, _ = h.Write(p.topic)
	_ = h.WriteByte(0)
	_, _ = h.Write(p.payload)
	return h.Sum64()
}
