// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/handshake"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

const exporterLabel = "EXTRACTOR-dtls_srtp"

// session is an established DTLS session. The connection's lock guards it.
type session struct {
	r            *run
	clientRandom [32]byte
	front        uint64 // of a server: which one of the run's it began behind
	p            *protection
	guard        *wire.Guard // knows what is a late copy of the handshake
	sequence     uint64      // of the next record of epoch 0
	finished     []byte      // a server's Finished, to be sent again on demand
	closeSent    bool
}

// exportKeys cuts the SRTP keys out of the exporter's bytes, which are client
// key, server key, client salt, server salt (RFC 5764 section 4.2).
func exportKeys(s *handshake.Secrets, profile srtp.Profile, client bool) *Keys {
	k, n := profile.KeyLen(), profile.SaltLen()
	b := s.Export(exporterLabel, 2*(k+n))
	ofClient := append(append(make([]byte, 0, k+n), b[:k]...), b[2*k:2*k+n]...)
	ofServer := append(append(make([]byte, 0, k+n), b[k:2*k]...), b[2*k+n:]...)
	if client {
		return &Keys{Profile: profile, Local: ofClient, Remote: ofServer}
	}
	return &Keys{Profile: profile, Local: ofServer, Remote: ofClient}
}

// write sends one record of application data.
func (s *session) write(p []byte) { s.sendRecord(typeData, p) }

func (s *session) sendRecord(typ byte, plain []byte) {
	rec, err := s.p.seal(make([]byte, 0, headerSize+overhead+len(plain)), typ, plain)
	if err != nil {
		s.r.fail(err)
		return
	}
	s.r.send(rec)
}

// sendCloseNotify says that nothing more comes, once.
func (s *session) sendCloseNotify() {
	if !s.closeSent {
		s.closeSent = true
		s.sendRecord(typeAlert, []byte{1, 0})
	}
}

// receive takes the records of this session out of a datagram. What is left is
// for an attempt to judge; whole says that nothing is.
func (s *session) receive(p []byte) (rest []byte, whole bool) {
	c := s.r.c
	others := len(s.r.attempts) > 0
	authentic := false
	var plainText []byte // the records of epoch 0
	for len(p) > 0 {
		record, after, ok := nextRecord(p)
		if !ok {
			c.counters.drop(wire.DropMalformed)
			break
		}
		p = after
		if recordEpoch(record) == 0 {
			plainText = append(plainText, record...)
			continue
		}
		plain, drop, ok := s.p.open(record)
		switch {
		case ok:
			authentic = true
			c.alive.Store(true)
			s.handle(record[0], plain)
			if s.r.session != s {
				return nil, true // it ended
			}
		case others && (drop == wire.DropAuth || drop == wire.DropReplay): // the numbers of another session begin at 0
			rest = append(rest, record...)
		default:
			c.counters.drop(drop)
		}
	}
	switch {
	case len(plainText) == 0:
	case others:
		rest = append(plainText, rest...)
	case !authentic:
		// A late copy of the handshake is no reason to suspect anybody.
		for _, d := range s.guard.In(plainText).Drops {
			c.counters.drop(d)
		}
	}
	return rest, len(rest) == 0
}

// handle acts on a record that has authenticated.
func (s *session) handle(typ byte, plain []byte) {
	r := s.r
	switch typ {
	case typeData:
		if len(plain) > 0 && !r.dec.calls.postPacket(plain, 1) {
			r.c.counters.drop(wire.DropQueueFull)
		}
	case typeAlert:
		switch {
		case len(plain) != 2:
			r.c.counters.drop(wire.DropMalformed)
		case plain[1] == 0:
			r.peerClosed()
		case plain[0] == 2:
			r.fail(&AlertError{Description: plain[1]})
		}
	case typeHandshake:
		switch {
		case len(plain) < messageHeader:
			r.c.counters.drop(wire.DropMalformed)
		case plain[0] == msgFinished:
			if s.finished != nil { // the client has not got our last flight
				r.c.counters.retransmissions.Add(1)
				s.sendLastFlight()
			}
		default:
			s.sendRecord(typeAlert, []byte{1, 100}) // no_renegotiation
		}
	}
}

// sendLastFlight sends ChangeCipherSpec and Finished again.
func (s *session) sendLastFlight() {
	b := make([]byte, headerSize+1, 2*headerSize+1+overhead+len(s.finished))
	putHeader(b, typeChangeCipherSpec, 0, s.sequence, 1)
	b[headerSize] = 1
	s.sequence++
	b, err := s.p.seal(b, typeHandshake, s.finished)
	if err != nil {
		s.r.fail(err)
		return
	}
	s.r.send(b)
}
