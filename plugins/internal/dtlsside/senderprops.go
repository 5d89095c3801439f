// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlsside

import (
	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
)

func senderField[T, V any](of func(*T) *Sender, f func(*senderSettings) *V) (func(*T) V, func(*T, V)) {
	return func(t *T) V {
			s := of(t)
			s.mu.Lock()
			defer s.mu.Unlock()
			return *f(&s.set)
		}, func(t *T, v V) {
			s := of(t)
			s.mu.Lock()
			defer s.mu.Unlock()
			*f(&s.set) = v
		}
}

// SenderProperties are the properties that dtlsenc and dtlssrtpenc share. of
// finds the Sender of an instance; versionName is what the C plugin calls the
// protocol version there; media gives the fields that the SRTP half adds to stats.
func SenderProperties[T any](of func(*T) *Sender, versionName string, media func(*T) Media) []gst.Property {
	str := func(name, blurb, def string, f func(*senderSettings) *string) gst.Property {
		get, set := senderField(of, f)
		flags := gst.MutableReady
		if name == "connection-id" {
			flags = 0 // as the C plugin has it
		}
		return gst.StringProp(name, blurb, def, flags, get, set)
	}
	num := func(name, blurb string, low, high, def uint32, f func(*senderSettings) *uint32) gst.Property {
		get, set := senderField(of, f)
		return gst.UintProp(name, blurb, low, high, def, gst.MutableReady, get, set)
	}
	getClient, setClient := senderField(of, func(s *senderSettings) *bool { return &s.client })
	return []gst.Property{
		str("connection-id", "Name of the connection: every encoder/decoder pair has the same, unique connection-id", "",
			func(s *senderSettings) *string { return &s.id }),
		gst.BoolProp("is-client", "Be the client, which begins the handshake; the peer must be the server (false)", false,
			gst.MutableReady, getClient, setClient),
		gst.EnumProp("connection-state", "State of the connection now", ConnectionState, gst.Enum(dtls.StateNew), 0,
			func(t *T) gst.Enum { return gst.Enum(stateOf(of(t))) }, nil),
		gst.UintProp(versionName, "Protocol version that was negotiated (0xFEFD is DTLS 1.2, 0 before the handshake)", 0, 65535, 0, 0,
			func(t *T) uint32 { return uint32(versionOf(of(t))) }, nil),
		str("srtp-profiles", "SRTP protection profiles to offer or accept, most preferred first, separated by commas "+
			"(RFC 5764, RFC 7714); none for data alone", DefaultProfiles, func(s *senderSettings) *string { return &s.profiles }),
		num("mtu", "Largest datagram of the handshake, in bytes, without UDP and IP headers", 256, 65507, defaultMTU,
			func(s *senderSettings) *uint32 { return &s.mtu }),
		num("retransmit-initial", "Time after which an unanswered flight of the handshake is first sent again, in milliseconds; "+
			"it doubles each time", 10, 60000, defaultRetransmitInitial, func(s *senderSettings) *uint32 { return &s.first }),
		num("retransmit-max", "Longest time between two retransmissions, in milliseconds", 10, 60000, defaultRetransmitMax,
			func(s *senderSettings) *uint32 { return &s.max }),
		num("handshake-timeout", "Time that a handshake may take, or be waited for, before an error is posted, in milliseconds "+
			"(0 = for ever)", 0, 1<<31-1, defaultHandshakeTimeout, func(s *senderSettings) *uint32 { return &s.timeout }),
		num("peer-timeout", "As the client: time without an authenticated packet of the peer after which a second handshake is "+
			"begun beside the first, for a peer that has restarted, in milliseconds (0 = never)", 0, 1<<31-1, 0,
			func(s *senderSettings) *uint32 { return &s.peerAfter }),
		gst.BoxedProp("stats", "Statistics of the connection: state, version, profile, peer's fingerprint, duration of the "+
			"handshake (ns), retransmissions, packets and bytes each way, and what was dropped, by reason", gst.TypeStructure, 0,
			func(t *T) gst.Structure {
				var m Media
				if media != nil {
					m = media(t)
				}
				return stats(of(t), m)
			}, nil),
	}
}

// SenderKeyProperties are the read-only key properties of dtlsenc.
func SenderKeyProperties[T any](of func(*T) *Sender) []gst.Property {
	return keyProperties("encoder-key", "SRTP master key and salt with which to encrypt", func(t *T) side { return of(t) },
		func(s side) []byte {
			if k, ok := keysOf(s); ok {
				return k.Local
			}
			return nil
		})
}

func keyProperties[T any](name, blurb string, of func(*T) side, key func(side) []byte) []gst.Property {
	return []gst.Property{
		gst.BoxedProp(name, blurb, gst.TypeBuffer, 0, func(t *T) any {
			if k := key(of(t)); len(k) > 0 {
				return gst.NewBuffer(k)
			}
			return nil
		}, nil),
		gst.UintProp("srtp-cipher", "SRTP cipher that the handshake selected: 0 none, 1 AES-128-ICM, 3 AES-128-GCM, 4 AES-256-GCM",
			0, 4, 0, 0, func(t *T) uint32 {
				k, _ := keysOf(of(t))
				return cipherNumber(k.Profile)
			}, nil),
		gst.UintProp("srtp-auth", "SRTP authentication that the handshake selected: 0 none, or that of the AEAD cipher, "+
			"1 HMAC-SHA1-32, 2 HMAC-SHA1-80", 0, 2, 0, 0, func(t *T) uint32 {
			k, _ := keysOf(of(t))
			return authNumber(k.Profile)
		}, nil),
	}
}
