// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlsside

import (
	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
)

func receiverField[T, V any](of func(*T) *Receiver, f func(*receiverSettings) *V) (func(*T) V, func(*T, V)) {
	return func(t *T) V {
			r := of(t)
			r.mu.Lock()
			defer r.mu.Unlock()
			return *f(&r.set)
		}, func(t *T, v V) {
			r := of(t)
			r.mu.Lock()
			defer r.mu.Unlock()
			*f(&r.set) = v
		}
}

// trustField is a field that says whom to trust.
func trustField[T, V any](of func(*T) *Receiver, f func(*receiverSettings) *V) (func(*T) V, func(*T, V)) {
	get, set := receiverField(of, f)
	return get, func(t *T, v V) {
		set(t, v)
		of(t).reconfigure()
	}
}

// ReceiverProperties are the properties that dtlsdec and dtlssrtpdec share; see
// SenderProperties for the arguments.
func ReceiverProperties[T any](of func(*T) *Receiver, versionName string, media func(*T) Media) []gst.Property {
	str := func(name, blurb string, flags gst.PropFlags, f func(*receiverSettings) *string) gst.Property {
		get, set := receiverField(of, f)
		if flags != 0 {
			get, set = trustField(of, f)
		}
		return gst.StringProp(name, blurb, "", flags, get, set)
	}
	getVerify, setVerify := trustField(of, func(s *receiverSettings) *gst.Enum { return &s.verify })
	getEOS, setEOS := receiverField(of, func(s *receiverSettings) *bool { return &s.eosOnClose })
	return []gst.Property{
		str("connection-id", "Name of the connection: every encoder/decoder pair has the same, unique connection-id", 0,
			func(s *receiverSettings) *string { return &s.id }),
		gst.StringProp("pem", "X.509 certificate and its private key (ECDSA or RSA) in PEM. Reading gives the certificate alone; "+
			"one is made when none is set", "", gst.DocShowDefault, func(t *T) string { return of(t).pem() },
			func(t *T, s string) { of(t).setPEM(s) }),
		gst.StringProp("peer-pem", "X.509 certificate of the peer, in PEM, once the handshake has brought it", "", 0,
			func(t *T) string { return of(t).peer() }, nil),
		gst.EnumProp("connection-state", "State of the connection now", ConnectionState, gst.Enum(dtls.StateNew), 0,
			func(t *T) gst.Enum { return gst.Enum(stateOf(of(t))) }, nil),
		gst.UintProp(versionName, "Protocol version that was negotiated (0xFEFD is DTLS 1.2, 0 before the handshake)", 0, 65535, 0, 0,
			func(t *T) uint32 { return uint32(versionOf(of(t))) }, nil),
		str("peer-fingerprint", "Fingerprint that the peer's certificate must have, as SDP writes it: sha-256 AA:BB:… "+
			"(RFC 8122, section 5); several are separated by commas, one must match", gst.MutableReady,
			func(s *receiverSettings) *string { return &s.pins }),
		str("ca-file", "File of CA certificates in PEM, one of which must have signed the peer's certificate", gst.MutableReady,
			func(s *receiverSettings) *string { return &s.caFile }),
		gst.EnumProp("verify", "Whether the peer's certificate is verified as X.509 says", Verify, gst.Enum(verifyAuto),
			gst.MutableReady, getVerify, setVerify),
		str("peer-name", "DNS name that the peer's certificate must be for; only where it is verified by a CA", gst.MutableReady,
			func(s *receiverSettings) *string { return &s.peerName }),
		gst.BoolProp("eos-on-close", "End the whole stream when the peer closes: EOS on every source pad, and upstream stops. "+
			"Otherwise only the data ends, and a peer that comes again is served", false, gst.MutablePlaying, getEOS, setEOS),
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

// ReceiverKeyProperties are the read-only key properties of dtlsdec.
func ReceiverKeyProperties[T any](of func(*T) *Receiver) []gst.Property {
	return keyProperties("decoder-key", "SRTP master key and salt with which to decrypt", func(t *T) side { return of(t) },
		func(s side) []byte {
			if k, ok := keysOf(s); ok {
				return k.Remote
			}
			return nil
		})
}

// AcceptSignal is the signal by which an application judges the peer.
func AcceptSignal() gst.Signal {
	return gst.Signal{
		Name: acceptSignal, Params: []gst.Type{gst.TypeString}, Return: gst.TypeBool, Accumulator: gst.AccAllTrue,
		Handler: func(any, []any) any { return true },
	}
}
