// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// framed gives each message a body of its own choice: the input is a list of
// bodies, each behind its length, and the kinds and numbers are those that are due.
func framed(in []byte, kinds []byte, first uint16) (messages [][]byte) {
	for i, kind := range kinds {
		var body []byte
		if len(in) >= 2 {
			n := min(int(binary.BigEndian.Uint16(in)), len(in)-2)
			body, in = in[2:2+n], in[2+n:]
		}
		n := len(body)
		seq := first + uint16(i)
		raw := []byte{kind, byte(n >> 16), byte(n >> 8), byte(n), byte(seq >> 8), byte(seq), 0, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}
		messages = append(messages, append(raw, body...))
	}
	return messages
}

func bodies(messages ...[]byte) (in []byte) {
	for _, raw := range messages {
		in = append(binary.BigEndian.AppendUint16(in, uint16(len(raw)-headerSize)), raw[headerSize:]...)
	}
	return in
}

// tape is what a client and a server with fixed certificates say to each other.
func tape(f *testing.F, kind string) (hello []byte, fromServer, fromClient [][]byte) {
	m := meet(f, kind, kind, 7, 8)
	m.change = func(name string, raw []byte) []byte {
		switch name {
		case "ClientHello":
			hello = raw
		case "client Certificate", "ClientKeyExchange", "CertificateVerify":
			fromClient = append(fromClient, raw)
		case "client Finished", "server Finished":
		default:
			fromServer = append(fromServer, raw)
		}
		return raw
	}
	if who, err := m.run(f); err != nil {
		f.Fatal(who, err)
	}
	return hello, fromServer, fromClient
}

// FuzzClientHello: whatever a server answers is a whole flight, and it has
// agreed to nothing that it does not have.
func FuzzClientHello(f *testing.F) {
	for _, kind := range []string{"p256", "rsa"} {
		hello, _, _ := tape(f, kind)
		f.Add(hello[headerSize:])
		f.Add(editHello(f, hello, nil, func(e map[uint16][]byte) { delete(e, extMasterSecret) })[headerSize:])
		f.Add(editHello(f, hello, []uint16{0xc030, 0xc02c, scsv}, func(e map[uint16][]byte) { delete(e, extRenegotiation) })[headerSize:])
	}
	id := identityOf(f, "p256")
	f.Fuzz(func(t *testing.T, body []byte) {
		s := NewServer(id.config(7, 8))
		flight, err := s.Hello(framed(bodies(append(make([]byte, headerSize), body...)), []byte{typeClientHello}, 1)[0])
		if err != nil {
			return
		}
		if len(flight) != 5 || s.secrets.Suite.rsa || s.profile != 0 && s.profile != 7 && s.profile != 8 {
			t.Fatalf("%d messages, suite %04x, profile %d", len(flight), s.secrets.Suite.ID, s.profile)
		}
		answer, err := parse(flight[0], typeServerHello, 1)
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := parseServerHello(answer); !ok || !bytes.Equal(h.random[:], s.secrets.ServerRandom[:]) || len(h.secure) != 0 {
			t.Fatalf("ServerHello %x", flight[0])
		}
		if _, err := s.Finished(nil); err == nil {
			t.Fatal("a Finished before the flight")
		}
	})
}

// FuzzServerFlight: a client takes no flight whose certificate is not the one
// that the caller has verified, and agrees to nothing that it has not offered.
func FuzzServerFlight(f *testing.F) {
	kinds := []byte{typeServerHello, typeCertificate, typeServerKeyExchange, typeCertificateRequest, typeServerHelloDone}
	for _, kind := range []string{"p256", "rsa"} {
		_, flight, _ := tape(f, kind)
		f.Add(bodies(flight...), uint16(0x0403))
		f.Add(bodies(flight...), uint16(0x0804))
	}
	id := identityOf(f, "p256")
	f.Fuzz(func(t *testing.T, in []byte, scheme uint16) {
		c := NewClient(id.config(7), [32]byte{1})
		if _, err := c.Hello([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if err := c.Flight(framed(in, kinds, 1), id.leaf, scheme); err != nil {
			if _, _, err := c.Reply(); err == nil {
				t.Fatal("a reply to a flight that was refused")
			}
			return
		}
		if c.secrets.Suite.rsa || c.profile != 0 && c.profile != 7 || !bytes.Equal(c.chain[0], id.leaf.Raw) {
			t.Fatalf("suite %04x, profile %d", c.secrets.Suite.ID, c.profile)
		}
		if _, _, err := c.Reply(); err == nil && c.Finished(make([]byte, finishedSize)) == nil {
			t.Fatal("a Finished of zeros was taken")
		}
	})
}

// FuzzClientFlight is the same for a server.
func FuzzClientFlight(f *testing.F) {
	kinds := []byte{typeCertificate, typeClientKeyExchange, typeCertificateVerify}
	hello, _, flight := tape(f, "p256")
	f.Add(bodies(flight...), uint16(0x0403))
	f.Add(bodies(flight[0], flight[2], flight[1]), uint16(0x0503))
	id := identityOf(f, "p256")
	f.Fuzz(func(t *testing.T, in []byte, scheme uint16) {
		s := NewServer(id.config())
		if _, err := s.Hello(hello); err != nil {
			t.Fatal(err)
		}
		if err := s.Flight(framed(in, kinds, 2), id.leaf, scheme); err != nil {
			return
		}
		if !bytes.Equal(s.chain[0], id.leaf.Raw) {
			t.Fatal("another chain was taken")
		}
		if _, err := s.Finished(make([]byte, finishedSize)); err == nil {
			t.Fatal("a Finished of zeros was taken")
		}
	})
}
