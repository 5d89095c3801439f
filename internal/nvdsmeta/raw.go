// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdsmeta

import "unsafe"

// What converter libraries read for themselves is given to them by its address.

// EventMetas appends the addresses of the frame's NvDsEventMsgMeta to dst: those that Events reads, in its order.
func (r *Reader) EventMetas(f Frame, component uint32, dst []uintptr) []uintptr {
	for l := newList(word(f.userMetas()), &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return dst
		}
		if i32(addr+baseType) != typeEvent {
			continue
		}
		if meta := word(addr + userData); meta != 0 && (component == 0 || u32(meta+eventComponent) == component) {
			dst = append(dst, meta)
		}
	}
}

// EventType is the NvDsEventType of an NvDsEventMsgMeta.
func EventType(meta uintptr) int32 { return i32(meta + eventType) }

// ObjectMetas appends the addresses of the frame's NvDsObjectMeta to dst, in the order of Objects.
func (r *Reader) ObjectMetas(f Frame, dst []uintptr) []uintptr {
	if f.Audio {
		return dst
	}
	for l := newList(word(f.Addr+frameObjects), &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return dst
		}
		if i32(addr+baseType) == typeObject {
			dst = append(dst, addr)
		}
	}
}

// Word reads a pointer. Like all that reads foreign memory it runs inside Guard.
func Word(addr uintptr) uintptr { return word(addr) }

// PayloadAt views the bytes of an NvDsPayload; nil for NULL and for an empty one.
func PayloadAt(addr uintptr) []byte {
	if addr == 0 {
		return nil
	}
	data, size := word(addr+payloadData), u32(addr+payloadSize)
	if data == 0 || size == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(at(data)), int(size))
}
