// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"errors"
	"io/fs"
	"mime"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
	"github.com/gst-edgewire/gst-edgewire/pkg/paytemplate"
)

// An encoder makes the messages of a frame: in one of the built-in schemas, or by a template.
type encoder interface {
	Encode(f *event.Frame, emit func(payload.Payload)) error
	Want(names []string)
}

// kindOfTemplate is what is known of a template before Start, for the negotiation of caps.
type kindOfTemplate struct{ path, contentType string }

// messageType is the name of the caps of messages as buffers.
func (c *converter) messageType() string {
	c.mu.Lock()
	path, kind, schema := c.set.template, c.kind, c.set.payloadType
	c.mu.Unlock()
	switch {
	case path == "" && schema == typeProtobuf:
		return payloadProtobuf
	case path == "":
		return payloadJSON
	case path != kind.path:
		kind = kindOfTemplate{path, paytemplate.Peek(strings.TrimSpace(path))}
		c.setKind(kind)
	}
	name, _, err := mime.ParseMediaType(kind.contentType)
	if err != nil {
		return payloadJSON
	}
	return name
}

func (c *converter) setKind(kind kindOfTemplate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kind = kind
}

// newTemplate makes the encoder of payload-template. The code is for an error.
func (c *converter) newTemplate(o payload.Options) (encoder, gst.ErrorCode, error) {
	path := strings.TrimSpace(c.cur.template)
	t, err := paytemplate.Load(path)
	if err != nil {
		code := gst.ResourceSettings
		if errors.Is(err, fs.ErrNotExist) {
			code = gst.ResourceNotFound
		}
		return nil, code, err
	}
	c.setKind(kindOfTemplate{c.cur.template, t.ContentType()})
	c.selection.Type = payload.Minimal // a message for the frame
	if t.PerObject() {
		c.selection.Type = payload.Deepstream
	}
	e, err := paytemplate.NewEncoder(t, paytemplate.Options{API: o.API, Static: o.Static})
	return e, gst.LibrarySettings, err
}
