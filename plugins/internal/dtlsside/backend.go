// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlsside

import "github.com/gst-edgewire/gst-edgewire/internal/gst"

// The values of srtp-backend.
const (
	BackendOurs gst.Enum = iota
	BackendStandard
)

var backends = &gst.EnumType{
	Name: "GstEdgeDtlsSrtpBackend",
	Values: []gst.EnumValue{
		{Value: int32(BackendOurs), Name: "This element itself", Nick: "edgewire"},
		{Value: int32(BackendStandard), Name: "GStreamer's srtpenc and srtpdec", Nick: "standard"},
	},
}

// BackendProperty is srtp-backend.
func BackendProperty[T any](get func(*T) gst.Enum, set func(*T, gst.Enum)) gst.Property {
	return gst.EnumProp("srtp-backend", "Who encrypts and decrypts SRTP; before the first pad is requested", backends, BackendOurs,
		gst.MutableReady, get, set)
}
