// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"cmp"
	"encoding/base64"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A received message waits here for Ack. Acknowledgements leave in the order in which the messages came
// (MQTT-4.6.0-2), so that one that is not acknowledged holds back those after it.
type arrival struct {
	number uint64
	id     uint16
	qos    byte
	acked  bool
	dead   bool // the server has forgotten it: no acknowledgement
	await  bool // of a lost connection: the server is to send it again before it can be acknowledged
	hash   uint64
	m      adapters.Incoming // until it is acknowledged: another subscription may want it
}

// owed reports that the server waits for an acknowledgement of it.
func (x *arrival) owed() bool { return x.qos > 0 && !x.dead }

// A token is the Token of an Incoming.
type token struct {
	epoch  uint32
	number uint64
}

// arrivals holds what was handed out, and what QoS 2 must remember.
type arrivals struct {
	list     []arrival // by number
	spare    []arrival // of topics that nobody is subscribed to any more, by number; nobody has them
	next     uint64    // number
	open     int       // in list and not acknowledged …
	bytes    int       // … and their payloads
	compact  int       // the length of list at which it is worth a look for what is over and done with
	epoch    uint32    // a new one with each subscription
	releases map[uint16]bool
	seed     maphash.Seed
}

const compactAt = 64

func newArrivals() arrivals {
	return arrivals{compact: compactAt, releases: map[uint16]bool{}, seed: maphash.MakeSeed()}
}

// each calls f with all that is not settled.
func (a *arrivals) each(f func(*arrival)) {
	for _, list := range [][]arrival{a.spare, a.list} {
		for i := range list {
			f(&list[i])
		}
	}
}

// forget is for a session that the server has lost: it wants no acknowledgement, and sends nothing again.
func (a *arrivals) forget() {
	a.each(func(x *arrival) { x.dead, x.await = true, false })
	a.spare = nil
	clear(a.releases)
}

// resume is for a new connection with the session kept: what is not acknowledged comes again.
func (a *arrivals) resume() {
	a.each(func(x *arrival) { x.await = x.owed() })
}

// known looks for a message that was handed out and comes again because the connection was lost before its
// acknowledgement. An identifier that the server has given to another message means that the old one is dead.
func (a *arrivals) known(id uint16, dup bool, hash uint64) (known bool) {
	a.each(func(x *arrival) {
		switch {
		case x.id != id || !x.owed() || known:
		case dup && x.hash == hash:
			x.await = false
			known = true
		default:
			x.dead = true
		}
	})
	if !dup { // the server sends what is under way first: it has forgotten what has not come by now
		a.each(func(x *arrival) { x.dead = x.dead || x.await })
	}
	return known
}

// maxOutBytes of payloads are handed out at most, and one message in any case: the window bounds their number
// alone. Tests shrink it.
var maxOutBytes = 64 << 20

// full reports that nothing more is to be handed out.
func (a *arrivals) full(window int) bool { return a.open >= window || a.bytes >= maxOutBytes }

// add notes a message that is handed out, and gives it its Token.
func (a *arrivals) add(x arrival) *adapters.Incoming {
	x.number = a.next
	a.next++
	x.m.Token = token{a.epoch, x.number}
	a.list = append(a.list, x)
	a.open++
	a.bytes += len(x.m.Payload)
	return &a.list[len(a.list)-1].m
}

// ack marks a message as taken.
func (a *arrivals) ack(t token) {
	if t.epoch != a.epoch {
		return
	}
	i, found := slices.BinarySearchFunc(a.list, t.number, func(x arrival, n uint64) int { return cmp.Compare(x.number, n) })
	if !found || a.list[i].acked {
		return
	}
	a.open--
	a.bytes -= len(a.list[i].m.Payload)
	a.list[i].acked, a.list[i].m = true, adapters.Incoming{}
}

// acknowledge appends the acknowledgements that are due.
func (a *arrivals) acknowledge(b []byte) []byte {
	n := 0
	for ; n < len(a.list) && a.list[n].acked; n++ {
		x := &a.list[n]
		if x.owed() && x.await {
			break
		}
		b = a.append(b, x)
	}
	if n > 0 {
		rest := copy(a.list, a.list[n:])
		clear(a.list[rest:])
		a.list = a.list[:rest]
	}
	if len(a.list) >= a.compact { // behind one that is never acknowledged, others come and go for ever
		a.list = slices.DeleteFunc(a.list, func(x arrival) bool { return x.acked && !x.owed() })
		a.compact = 2*len(a.list) + compactAt
	}
	return b
}

// append is the acknowledgement of one message.
func (a *arrivals) append(b []byte, x *arrival) []byte {
	switch {
	case !x.owed():
		return b
	case x.qos == 1:
		return appendAck(b, typePuback, x.id, 0)
	}
	a.releases[x.id] = true
	return appendAck(b, typePubrec, x.id, 0)
}

// renew is for another subscription: what was not acknowledged is handed out again where it is wanted, and
// stays with the server where it is not. Of that, most are kept; what is beyond counts as acknowledged, since
// a server sends only so many before it waits. gone is how many that were. Messages from number fresh on
// were never handed out.
func (a *arrivals) renew(wanted func(topic string) bool, most int, fresh uint64) (again []adapters.Incoming, gone int) {
	all := append(a.spare, a.list...)
	slices.SortFunc(all, func(x, y arrival) int { return cmp.Compare(x.number, y.number) })
	a.list, a.spare, a.open, a.bytes, a.compact = nil, nil, 0, 0, compactAt
	a.epoch++
	for i := len(all) - 1; i >= 0; i-- { // the newest are kept
		x := &all[i]
		switch {
		case x.acked:
		case wanted(x.m.Topic):
			a.open++
			a.bytes += len(x.m.Payload)
			x.m.Token = token{a.epoch, x.number}
			x.m.Redelivered = x.m.Redelivered || x.number < fresh
			again = append(again, x.m)
		case x.owed() && len(a.spare) < most:
			a.spare = append(a.spare, *x)
			continue
		default:
			if x.owed() {
				gone++
			}
			x.acked, x.m = true, adapters.Incoming{}
		}
		a.list = append(a.list, *x)
	}
	slices.Reverse(a.list)
	slices.Reverse(a.spare)
	slices.Reverse(again)
	return again, gone
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
