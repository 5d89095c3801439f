// SPDX-License-Identifier: LGPL-2.1-or-later

// Package dtlsside is what the DTLS elements share: the sending side of a
// connection (dtlsenc, dtlssrtpenc), the receiving side (dtlsdec, dtlssrtpdec),
// and the face that both show. Interface mirrored: GStreamer's dtls plugin.
package dtlsside

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// The debug categories of the C plugin that are not an element's.
var (
	connectionLog = gst.NewCategory("dtlsconnection", "DTLS connection")
	agentLog      = gst.NewCategory("dtlsagent", "DTLS agent")
	certLog       = gst.NewCategory("dtlscertificate", "DTLS certificate")
)

// RegisterCategories shows the plugin's debug categories to tools that list them.
func RegisterCategories(element *gst.Category) {
	for _, c := range []*gst.Category{element, connectionLog, agentLog, certLog} {
		c.Register()
	}
}

func init() {
	levels := []gst.Level{gst.LevelError, gst.LevelError, gst.LevelWarning, gst.LevelInfo, gst.LevelDebug, gst.LevelTrace}
	dtls.SetLog(func(level int) bool { return connectionLog.Enabled(levels[level]) },
		func(level int, text string) { connectionLog.Log(levels[level], nil, "%s", text) })
}

// ConnectionState is the enum of connection-state. The numbers and nicks are
// the C plugin's: webrtcbin reads them.
var ConnectionState = &gst.EnumType{
	Name: "GstEdgeDtlsConnectionState",
	Values: []gst.EnumValue{
		{Value: int32(dtls.StateNew), Name: "New connection", Nick: "new"},
		{Value: int32(dtls.StateClosed), Name: "Closed connection on either side", Nick: "closed"},
		{Value: int32(dtls.StateFailed), Name: "Failed connection", Nick: "failed"},
		{Value: int32(dtls.StateConnecting), Name: "Connecting", Nick: "connecting"},
		{Value: int32(dtls.StateConnected), Name: "Successfully connected", Nick: "connected"},
	},
}

// The numbers of srtp-cipher and srtp-auth on dtlsenc and dtlsdec: those of the
// C plugin for AES-CM, those of GstSrtpCipherType for the rest.
func cipherNumber(p srtp.Profile) uint32 {
	if p == 0 {
		return 0
	}
	return uint32(p.Policy().RTPCipher)
}

func authNumber(p srtp.Profile) uint32 {
	if p == 0 {
		return 0
	}
	return uint32(p.Policy().RTPAuth)
}

// side is what Sender and Receiver have in common.
type side interface {
	connection() (c *dtls.Connection, last dtls.Stats)
}

func stateOf(s side) dtls.State {
	if c, _ := s.connection(); c != nil {
		return c.State()
	}
	return dtls.StateClosed
}

func keysOf(s side) (dtls.Keys, bool) {
	if c, _ := s.connection(); c != nil {
		return c.Keys()
	}
	return dtls.Keys{}, false
}

func statsOf(s side) dtls.Stats {
	c, last := s.connection()
	if c != nil {
		return c.Stats()
	}
	return last
}

func versionOf(s side) uint16 {
	if c, _ := s.connection(); c != nil {
		return c.Version()
	}
	return 0
}

// Media is what the SRTP half of a bin knows for stats.
type Media struct {
	Sent, Received [2]uint64 // packets, bytes
	Fields         []gst.Field
}

// stats is the property stats. Media counts in the totals; what both halves drop
// for the same reason is one figure.
func stats(s side, m Media) gst.Structure {
	out := gst.Structure{Name: "application/x-dtls-stats"}
	st, version := statsOf(s), versionOf(s)
	out.Add("state", ConnectionState.Nick(gst.Enum(stateOf(s))))
	out.Add("version", uint32(version))
	out.Add("version-name", versionName(version))
	out.Add("profile", st.Profile)
	out.Add("peer-fingerprint", st.PeerFingerprint)
	out.Add("handshakes", st.Handshakes)
	out.Add("handshake-duration", uint64(st.HandshakeDuration.Nanoseconds()))
	out.Add("retransmissions", st.Retransmissions)
	out.Add("packets-sent", st.PacketsSent+m.Sent[0])
	out.Add("bytes-sent", st.BytesSent+m.Sent[1])
	out.Add("packets-received", st.PacketsReceived+m.Received[0])
	out.Add("bytes-received", st.BytesReceived+m.Received[1])
	dropped := map[string]uint64{}
	for _, f := range m.Fields {
		n, isCount := f.Value.(uint64)
		if reason, isDrop := strings.CutPrefix(f.Name, "dropped-"); isDrop && isCount {
			dropped[reason] = n
			continue
		}
		out.Fields = append(out.Fields, f)
	}
	for r := wire.Reason(0); int(r) < wire.Reasons; r++ {
		out.Add("dropped-"+r.String(), st.Dropped[r]+dropped[r.String()])
		delete(dropped, r.String())
	}
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		out.Add("dropped-"+reason, dropped[reason])
	}
	return out
}

func versionName(v uint16) string {
	switch v {
	case 0:
		return ""
	case 0xFEFF:
		return "DTLS 1.0"
	case 0xFEFD:
		return "DTLS 1.2"
	case 0xFEFC:
		return "DTLS 1.3"
	}
	return fmt.Sprintf("0x%04X", v)
}

// DefaultProfiles is the default of srtp-profiles.
const DefaultProfiles = "SRTP_AEAD_AES_256_GCM,SRTP_AEAD_AES_128_GCM,SRTP_AES128_CM_HMAC_SHA1_80,SRTP_AES128_CM_HMAC_SHA1_32"

// parseProfiles reads a list of profile names. "" and "none" are the empty
// list: use_srtp is not offered.
func parseProfiles(s string) ([]srtp.Profile, error) {
	var list []srtp.Profile
	if s = strings.TrimSpace(s); strings.EqualFold(s, "none") {
		return nil, nil
	}
	for _, name := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ':' || r == ' ' || r == ';' }) {
		p, err := srtp.ParseProfile(name)
		if err != nil {
			return nil, err
		}
		for _, have := range list {
			if have == p {
				return nil, fmt.Errorf("the SRTP protection profile %s stands twice in the list: remove one", p)
			}
		}
		list = append(list, p)
	}
	return list, nil
}

// ParsePolicy reads the four names of srtp-cipher, srtp-auth, srtcp-cipher and
// srtcp-auth; those left open ("") take the C bins' defaults.
func ParsePolicy(rtpCipher, rtpAuth, rtcpCipher, rtcpAuth string) (srtp.Policy, error) {
	var p srtp.Policy
	for _, c := range []struct {
		property, name, def string
		to                  *srtp.Cipher
	}{{"srtp-cipher", rtpCipher, "aes-128-icm", &p.RTPCipher}, {"srtcp-cipher", rtcpCipher, "aes-128-icm", &p.RTCPCipher}} {
		v, err := srtp.ParseCipher(or(c.name, c.def))
		if err != nil {
			return p, fmt.Errorf("%s: %w", c.property, err)
		}
		*c.to = v
	}
	for _, a := range []struct {
		property, name string
		cipher         srtp.Cipher
		to             *srtp.Auth
	}{{"srtp-auth", rtpAuth, p.RTPCipher, &p.RTPAuth}, {"srtcp-auth", rtcpAuth, p.RTCPCipher, &p.RTCPAuth}} {
		def := "hmac-sha1-80"
		if a.cipher == srtp.CipherAES128GCM || a.cipher == srtp.CipherAES256GCM {
			def = "null"
		}
		v, err := srtp.ParseAuth(or(a.name, def))
		if err != nil {
			return p, fmt.Errorf("%s: %w", a.property, err)
		}
		*a.to = v
	}
	return p, p.Validate()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// webrtcbin is the GType of webrtcbin.
const webrtcbin = "GstWebRTCBin"

// report posts what a connection says. Under webrtcbin an error of one peer
// must not end a pipeline that serves others: there connection-state tells
// (failed), and the bus gets a warning.
func report(e *gst.Element, code gst.ErrorCode, err error, warning bool) {
	if warning || e.HasAncestor(webrtcbin) {
		e.Warning(code, err.Error(), "")
		return
	}
	e.Error(code, err.Error(), "")
}
