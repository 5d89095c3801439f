// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// EncoderBackend is what an element needs of its SRTP encoder: [NewEncoder] with
// our own crypto, or [NewStandardEncoder].
type EncoderBackend interface {
	NewSink(template, name string, k Kind) *gst.Pad
	ReleaseSink(*gst.Pad)
	SetKeys(p crypto.Policy, keyAndSalt []byte, fresh bool) error
	ClearKeys()
	SetSync(on bool)
	SetDataSink(present bool)
	DataEOS()
	PushData(datagram []byte) gst.FlowReturn
	PushEOS()
	Before(gst.StateChange)
	After(gst.StateChange)
	Stats() Stats
	Close()
}

// DecoderBackend is what an element needs of its SRTP decoder: [NewDecoder] with
// our own crypto, or [NewStandardDecoder].
type DecoderBackend interface {
	SetKeys(p crypto.Policy, keyAndSalt []byte, fresh bool) error
	ClearKeys()
	PushEOS()
	Before(gst.StateChange)
	After(gst.StateChange)
	Stats() Stats
	Close()
}

// Both backends are the same two types.
var (
	_ EncoderBackend = (*Encoder)(nil)
	_ DecoderBackend = (*Decoder)(nil)
)
