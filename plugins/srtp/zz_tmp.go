// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"errors"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
)

func NewStandardEncoder(e *gst.Element, src *gst.Pad, o EncoderOptions) (EncoderBackend, error) {
	return nil, errors.New("not yet")
}

func NewStandardDecoder(e *gst.Element, sink, rtpSrc, rtcpSrc *gst.Pad, o DecoderOptions) (DecoderBackend, error) {
	return nil, errors.New("not yet")
}
