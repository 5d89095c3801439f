// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"errors"
	"fmt"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdssdk"
	"github.com/gst-edgewire/gst-edgewire/internal/payloadmeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
)

// batchReader takes the payloads off DeepStream's batches: those of the SDK's
// own nvmsgconv, of an application, and of ours alike.
type batchReader struct {
	reader   nvdsmeta.Reader
	take     func(nvdsmeta.Sealed) bool // add as a value, made once
	compID   uint32
	data     []byte // payloads and keys, one after the other
	messages []batchMessage
	warned   brokerside.Throttle
}

// A batchMessage is a message as offsets into data.
type batchMessage struct {
	payload, key, end int
	timestampMS       int64
}

// renderBatch queues the payloads of DeepStream's batch on b, if there is one.
func (s *sink) renderBatch(conn *broker.Connection, b gst.Buffer) gst.FlowReturn {
	batch := nvdssdk.Find(b)
	if batch == 0 {
		return gst.FlowOK
	}
	n := &s.nvds
	if err := n.collect(batch, s.compID.Load()); err != nil && n.warned.Due() {
		s.Warning(gst.StreamFormat, "msgbroker: messages of a batch of frames are lost: its metadata is broken: "+err.Error()+".", "")
	}
	for _, m := range n.messages {
		message := broker.Message{Topic: *s.topic.Load(), Payload: n.data[m.payload:m.key], Key: n.data[m.key:m.end],
			TimestampMS: m.timestampMS}
		if r := s.router.Load(); r != nil { // its fields are looked up in the payload
			p := payloadmeta.Payload{Data: message.Payload, Key: string(message.Key), TimestampMS: m.timestampMS}
			if len(p.Data) > 0 && p.Data[0] == '{' {
				p.ContentType = payload.ContentTypeJSON
			}
			s.routing.apply(r, &message, &p, s.ownTopic(conn, message.Topic))
		}
		if flow := s.queue(conn, &message); flow != gst.FlowOK {
			return flow
		}
	}
	return gst.FlowOK
}

// collect copies what there is while it holds the batch's lock: queueing may
// wait, and others want their metadata.
func (n *batchReader) collect(batch uintptr, compID uint32) (err error) {
	n.compID, n.data, n.messages = compID, nvdssdk.Trim(n.data), n.messages[:0]
	if n.take == nil {
		n.take = n.add
	}
	if broken := nvdsmeta.Guard(func() { err = nvdsmeta.Plausible(batch) }); broken != nil || err != nil {
		return first(broken, err)
	}
	nvdssdk.Lock(batch)
	defer nvdssdk.Unlock(batch)
	err = nvdsmeta.Guard(func() { n.reader.Payloads(batch, n.take) })
	switch refused := n.reader.Refused(); {
	case err != nil:
		return err
	case refused > 0:
		return fmt.Errorf("%d of them are larger than 16 MiB each, or than 256 MiB together", refused)
	case n.reader.Broken():
		return errors.New("a list runs in a circle, or is beyond all measure, and was cut")
	}
	return nil
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (n *batchReader) add(p nvdsmeta.Sealed) bool {
	if n.compID != 0 && p.Comp != n.compID {
		return true
	}
	m := batchMessage{payload: len(n.data)}
	n.data = append(n.data, p.Data...)
	m.key = len(n.data)
	if side, ok := nvdssdk.Side(p); ok {
		n.data = append(n.data, side.Key...)
		m.timestampMS = side.TimestampMS
	}
	m.end = len(n.data)
	n.messages = append(n.messages, m)
	return true
}
