// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"encoding/binary"
	"time"
)

// A Will is what the server publishes when the connection is lost without a goodbye.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Delay   time.Duration // MQTT 5: how long the server waits for us to come back
}

// Credentials are what CONNECT carries.
type Credentials struct {
	Username, Password string
	HasPassword        bool
	Until              time.Time // when they end; zero: never. The connection is renewed before
}

type connectPacket struct {
	version       Version
	clientID      string
	cred          Credentials
	clean         bool
	keepAlive     uint16
	sessionExpiry uint32
	receiveMax    uint16
	maxPacket     uint32
	will          *Will
}

func (p *connectPacket) append(b []byte) []byte {
	body := appendText(nil, "MQTT")
	flags := byte(0)
	if p.clean {
		flags |= 0x02
	}
	if w := p.will; w != nil {
		flags |= 0x04 | w.QoS<<3
		if w.Retain {
			flags |= 0x20
		}
	}
	if p.cred.HasPassword {
		flags |= 0x40
	}
	if p.cred.Username != "" {
		flags |= 0x80
	}
	body = append(body, byte(p.version), flags)
	body = binary.BigEndian.AppendUint16(body, p.keepAlive)
	if p.version == V5 {
		var props []byte
		if p.sessionExpiry > 0 {
			props = binary.BigEndian.AppendUint32(append(props, propSessionExpiry), p.sessionExpiry)
		}
		props = binary.BigEndian.AppendUint16(append(props, propReceiveMax), p.receiveMax)
		props = binary.BigEndian.AppendUint32(append(props, propMaxPacket), p.maxPacket)
		body = append(appendVarint(body, len(props)), props...)
	}
	body = appendText(body, p.clientID)
	if w := p.will; w != nil {
		if p.version == V5 {
			var props []byte
			if w.Delay > 0 {
				props = binary.BigEndian.AppendUint32(append(props, propWillDelay), uint32(w.Delay/time.Second))
			}
			body = append(appendVarint(body, len(props)), props...)
		}
		body = appendText(appendText(body, w.Topic), w.Payload)
	}
	if p.cred.Username != "" {
		body = appendText(body, p.cred.Username)
	}
	if p.cred.HasPassword {
		body = appendText(body, p.cred.Password)
	}
	return appendPacket(b, typeConnect<<4, body)
}

// A connack is the server's answer to CONNECT with what it says about itself.
type connack struct {
	present    bool // the session of before is still there
	code       byte
	reason     string
	assignedID string
	keepAlive  int // -1: as asked
	receiveMax int
	maxPacket  int // 0: no limit
	maxQoS     byte
	noRetain   bool
	noShared   bool
	noWildcard bool
}

func parseConnack(body []byte, v Version) (connack, error) {
	c := cursor{b: body}
	a := connack{present: c.u8()&1 == 1, code: c.u8(), keepAlive: -1, receiveMax: maxString, maxQoS: 2}
	if v == V5 && len(c.b) > 0 {
		c.props(func(id byte, n uint32, text, _ []byte) {
			switch id {
			case propReason:
				a.reason = string(text)
			case propAssignedID:
				a.assignedID = string(text)
			case propServerKeepAlive:
				a.keepAlive = int(n)
			case propReceiveMax:
				a.receiveMax = max(int(n), 1)
			case propMaxPacket:
				a.maxPacket = int(n)
			case propMaxQoS:
				a.maxQoS = byte(n)
			case propRetainAvailable:
				a.noRetain = n == 0
			case propShared:
				a.noShared = n == 0
			case propWildcard:
				a.noWildcard = n == 0
			}
		})
	}
	if c.bad {
		return a, errMalformed
	}
	return a, nil
}

// appendDisconnect says goodbye. Version 5 can say what becomes of the session.
func appendDisconnect(b []byte, v Version, dropSession bool) []byte {
	if v == V5 && dropSession {
		return append(b, typeDisconnect<<4, 7, 0, 5, propSessionExpiry, 0, 0, 0, 0)
	}
	return append(b, typeDisconnect<<4, 0)
}

// A filter is one topic of a SUBSCRIBE.
type filter struct {
	text  string
	again bool // it was subscribed to before: retained messages are not wanted once more
}

func appendSubscribe(b []byte, v Version, id uint16, qos byte, filters []filter) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if v == V5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = appendText(body, f.text)
		o := qos
		if v == V5 && f.again {
			o |= 1 << 4 // retain handling: only if the subscription is new
		}
		body = append(body, o)
	}
	return appendPacket(b, typeSubscribe<<4|2, body)
}

func appendUnsubscribe(b []byte, v Version, id uint16, filters []string) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if v == V5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = appendText(body, f)
	}
	return appendPacket(b, typeUnsubscribe<<4|2, body)
}

// parseAck reads PUBACK, PUBREC, PUBREL or PUBCOMP.
func parseAck(body []byte, v Version) (id uint16, code byte, reason string, err error) {
	c := cursor{b: body}
	id = c.u16()
	if v == V5 && len(c.b) > 0 {
		code = c.u8()
		if len(c.b) > 0 {
			c.props(func(p byte, _ uint32, a, _ []byte) {
				if p == propReason {
					reason = string(a)
				}
			})
		}
	}
	if c.bad {
		return 0, 0, "", errMalformed
	}
	return id, code, reason, nil
}

// parseSuback reads SUBACK and UNSUBACK.
func parseSuback(body []byte, v Version) (id uint16, codes []byte, reason string, err error) {
	c := cursor{b: body}
	id = c.u16()
	if v == V5 {
		c.props(func(p byte, _ uint32, a, _ []byte) {
			if p == propReason {
				reason = string(a)
			}
		})
	}
	if c.bad {
		return 0, nil, "", errMalformed
	}
	return id, c.b, reason, nil
}
