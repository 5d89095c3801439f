// SPDX-License-Identifier: LGPL-2.1-or-later

package route

import "google.golang.org/protobuf/encoding/protowire"

// frameSensorID is the number of sensorId in DeepStream's protobuf message nv.Frame.
const frameSensorID = 4

// FrameSensor returns the sensorId of an nv.Frame, a view of payload; ok is false where there is none, or
// payload is no protobuf.
func FrameSensor(payload []byte) (id []byte, ok bool) {
	for len(payload) > 0 {
		num, typ, n := protowire.ConsumeTag(payload)
		if n < 0 {
			return nil, false
		}
		payload = payload[n:]
		if num == frameSensorID && typ == protowire.BytesType {
			id, n = protowire.ConsumeBytes(payload)
		} else {
			n = protowire.ConsumeFieldValue(num, typ, payload)
		}
		if n < 0 {
			return nil, false
		}
		payload = payload[n:]
	}
	return id, len(id) > 0
}
