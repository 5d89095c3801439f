// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdsmeta

import (
	"encoding/binary"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// arena is memory that is not Go's, with a hole behind it.
type arena struct {
	bytes []byte
	base  uintptr
	used  uintptr
}

func newArena(t testing.TB, size int) *arena {
	t.Helper()
	page := syscall.Getpagesize()
	b, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(b[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(b) })
	return &arena{bytes: b[:size], base: uintptr(unsafe.Pointer(unsafe.SliceData(b)))}
}

func (a *arena) alloc(size uintptr) uintptr {
	addr := a.base + a.used
	a.used += (size + 15) &^ 15
	return addr
}

func (a *arena) at(addr uintptr) []byte { return a.bytes[addr-a.base:] }

func (a *arena) word(addr, v uintptr) { binary.NativeEndian.PutUint64(a.at(addr), uint64(v)) }
func (a *arena) u32(addr uintptr, v uint32) {
	binary.NativeEndian.PutUint32(a.at(addr), v)
}

func (a *arena) text(s string) uintptr {
	addr := a.alloc(uintptr(len(s) + 1))
	copy(a.at(addr), s)
	return addr
}

func (a *arena) list(data ...uintptr) (head uintptr) {
	for i := len(data) - 1; i >= 0; i-- {
		node := a.alloc(24)
		a.word(node, data[i])
		a.word(node+listNext, head)
		head = node
	}
	return head
}

func (a *arena) meta(size uintptr, kind uint32) uintptr {
	m := a.alloc(size)
	a.u32(m+baseType, kind)
	return m
}

func (a *arena) pool(kind, size uint32) uintptr {
	p := a.alloc(56)
	a.u32(p+poolType, kind)
	a.u32(p+poolElementSize, size)
	return p
}

// batch makes a batch with a frame, an object and an event.
func (a *arena) batch(l *Layout) (batch, frame, object, user, meta uintptr) {
	batch = a.meta(192, 1)
	a.word(batch+batchFramePool, a.pool(typeFrame, l.frame))
	a.word(batch+batchObjectPool, a.pool(typeObject, l.object))
	a.word(batch+batchClassifierPool, a.pool(typeClassifier, l.classifier))
	a.word(batch+batchDisplayPool, a.pool(typeDisplay, l.display))
	a.word(batch+batchUserPool, a.pool(typeUser, userSize))
	frame = a.meta(uintptr(l.frame), typeFrame)
	a.word(batch+batchFrames, a.list(frame))
	object = a.meta(uintptr(l.object), typeObject)
	copy(a.at(object+l.objLabel), "car")
	a.word(frame+frameObjects, a.list(object))
	meta = a.alloc(l.eventSize)
	a.word(meta+eventTime, a.text("2025-01-01T00:00:00Z"))
	user = a.meta(userSize, typeEvent)
	a.word(user+userData, meta)
	a.word(frame+frameUserMetas, a.list(user))
	return batch, frame, object, user, meta
}

// readAll reads everything that there is.
func readAll(r *Reader, batch uintptr, out *event.Frame) error {
	return Guard(func() {
		r.Frames(batch, func(f Frame) bool {
			out.Reset()
			r.Head(f, out)
			r.Objects(f, out)
			r.Events(f, 0, out)
			return true
		})
	})
}

func TestReleases(t *testing.T) {
	for _, r := range []Release{{6, 4}, {7, 0}, {7, 1}, {8, 0}, {9, 0}, {9, 1}} {
		if _, err := LayoutOf(r); err != nil {
			t.Error(err)
		}
	}
	for _, r := range []Release{{4, 0}, {5, 1}, {6, 3}} {
		if _, err := LayoutOf(r); err == nil || !strings.Contains(err.Error(), "DeepStream "+r.String()) || !strings.Contains(err.Error(), "6.4") {
			t.Error(r, err)
		}
	}
	for _, r := range []Release{{7, 2}, {9, 2}, {10, 0}} {
		if _, err := LayoutOf(r); err == nil || !strings.Contains(err.Error(), "DeepStream "+r.String()) || !strings.Contains(err.Error(), "not known") {
			t.Error(r, err)
		}
	}
}

func TestFits(t *testing.T) {
	for i, l := range layouts {
		a := newArena(t, 1<<17)
		batch, _, _, _, _ := a.batch(l)
		if err := l.Fits(batch); err != nil {
			t.Error(l.Releases, err)
		}
		for j, other := range layouts {
			same := other.frame == l.frame && other.object == l.object
			if err := other.Fits(batch); (err == nil) != same {
				t.Errorf("layouts %d and %d: %v", i, j, err)
			}
		}
	}
}

func TestReadsWhatIsThere(t *testing.T) {
	for _, l := range layouts {
		a := newArena(t, 1<<17)
		batch, frame, _, _, meta := a.batch(l)
		a.word(meta+l.videoPath, a.text("clip.mp4"))
		a.word(frame+framePTS, 42)
		var out event.Frame
		r := Reader{Layout: l}
		if err := readAll(&r, batch, &out); err != nil || r.Broken() {
			t.Fatal(err)
		}
		if len(out.Objects) != 1 || out.Objects[0].Label != "car" || len(out.Events) != 1 || out.PTS != 42 ||
			out.Events[0].Timestamp.Value != "2025-01-01T00:00:00Z" || out.Events[0].VideoPath != event.Str("clip.mp4") {
			t.Errorf("%v: %+v", l.Releases, out)
		}
	}
}

func TestCycles(t *testing.T) {
	l := layouts[len(layouts)-1]
	for length := 1; length < 40; length++ {
		a := newArena(t, 1<<17)
		batch, frame, object, _, _ := a.batch(l)
		objects := make([]uintptr, length)
		for i := range objects {
			objects[i] = object
		}
		head := a.list(objects...)
		last := head
		for word(last+listNext) != 0 {
			last = word(last + listNext)
		}
		a.word(last+listNext, head)
		a.word(frame+frameObjects, head)
		var out event.Frame
		r := Reader{Layout: l}
		if err := readAll(&r, batch, &out); err != nil || !r.Broken() {
			t.Fatal(length, err)
		}
		if n := len(out.Objects); n < length || n > 4*length+16 {
			t.Errorf("a circle of %d gives %d objects", length, n)
		}
		if len(out.Events) != 1 {
			t.Error("what follows a broken list is lost")
		}
	}
}

func TestListsHaveALimit(t *testing.T) {
	l := layouts[0]
	a := newArena(t, 8<<20)
	batch, frame, object, _, _ := a.batch(l)
	objects := make([]uintptr, maxMetas+100)
	for i := range objects {
		objects[i] = object
	}
	a.word(frame+frameObjects, a.list(objects...))
	var out event.Frame
	r := Reader{Layout: l}
	if err := readAll(&r, batch, &out); err != nil || !r.Broken() || len(out.Objects) > maxMetas {
		t.Fatal(err, r.Broken(), len(out.Objects))
	}
}

func TestWildPointersAreErrors(t *testing.T) {
	l := layouts[len(layouts)-1]
	for _, wild := range []uintptr{1, 8, 0xfff, 0xdeadbeef0, 0x4141414141414141, ^uintptr(0), ^uintptr(7), 1 << 63} {
		for _, where := range []string{"frames", "objects", "user metas", "event", "time", "pool"} {
			a := newArena(t, 1<<17)
			batch, frame, _, user, meta := a.batch(l)
			switch where {
			case "frames":
				a.word(batch+batchFrames, wild)
			case "objects":
				a.word(frame+frameObjects, a.list(wild))
			case "user metas":
				a.word(frame+frameUserMetas, wild)
			case "event":
				a.word(user+userData, wild)
			case "time":
				a.word(meta+eventTime, wild)
			case "pool":
				a.word(batch+batchUserPool, wild)
			}
			var out event.Frame
			r := Reader{Layout: l}
			err := readAll(&r, batch, &out)
			if where == "pool" {
				err = Guard(func() { l.Fits(batch) })
			}
			if err == nil || !strings.Contains(err.Error(), "leads nowhere") {
				t.Errorf("%s = %#x: %v", where, wild, err)
			}
		}
	}
}

func TestNothingIsReadBehindATextsPage(t *testing.T) {
	a := newArena(t, 1<<14)
	for n := range 40 {
		addr := a.base + uintptr(len(a.bytes)) - uintptr(n) - 1
		for i := range n {
			a.bytes[len(a.bytes)-n-1+i] = 'x'
		}
		a.bytes[len(a.bytes)-1] = 0
		if err := Guard(func() {
			b := newBudget()
			if got := b.text(addr); got != strings.Repeat("x", n) {
				t.Errorf("%d: %q", n, got)
			}
		}); err != nil {
			t.Error(n, err)
		}
	}
	a.bytes[len(a.bytes)-1] = 'x' // no end
	if err := Guard(func() { b := newBudget(); b.text(a.base + uintptr(len(a.bytes)) - 5) }); err == nil {
		t.Error("a text without an end was read")
	}
	for i := range a.bytes {
		a.bytes[i] = 'y'
	}
	if got := length(a.base+3, 100); got != 100 {
		t.Error(got)
	}
}

func TestGuardPassesOurMistakesOn(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a mistake of ours was swallowed")
		}
	}()
	var none []int
	Guard(func() { none[len(none)]++ })
}

// FuzzRead fills a batch's structures with junk whose pointers lead into the
// structures, mostly.
func FuzzRead(f *testing.F) {
	f.Add([]byte("junk"), uint8(0))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, uint8(3))
	f.Add([]byte{0xff, 0, 0x80, 9, 9, 9}, uint8(2))
	const size = 1 << 18
	f.Fuzz(func(t *testing.T, junk []byte, which uint8) {
		if len(junk) == 0 {
			return
		}
		l := layouts[int(which)%len(layouts)]
		a := newArena(t, size)
		batch, _, _, _, _ := a.batch(l)
		// Junk over all but the heads of the structures: every third word a pointer.
		state := uint32(len(junk))
		for i := 0; i+8 <= size; i += 8 {
			b := junk[i/8%len(junk)]
			state = state*1664525 + 1013904223 + uint32(b)
			switch state >> 28 {
			case 0, 1:
				a.word(a.base+uintptr(i), a.base+uintptr(state>>4%size)&^7)
			case 2:
				binary.NativeEndian.PutUint32(a.bytes[i:], state>>4%40)
			case 3:
				binary.NativeEndian.PutUint64(a.bytes[i:], uint64(state)<<uint(b%40))
			}
		}
		var out event.Frame
		r := Reader{Layout: l}
		if err := readAll(&r, batch, &out); err == nil && len(out.Objects)+len(out.Events) > maxMetas {
			t.Error("beyond the limit")
		}
		if _, _, s, err := readScenes(&r, batch); err == nil && len(s.Objects) > 600 {
			t.Error("beyond the limit")
		}
		Guard(func() { l.Fits(batch) })
		Guard(func() { r.Payloads(batch, func(p Sealed) bool { _ = len(p.Data); return true }) })
	})
}

// custom puts n custom messages of a size on a frame, all the same one.
func (a *arena) custom(l *Layout, frame, data uintptr, size uint32, n int) {
	info := a.alloc(16)
	a.word(info+messageData, data)
	a.u32(info+messageSize, size)
	user := a.meta(userSize, uint32(l.customBlobType))
	a.word(user+userData, info)
	users := make([]uintptr, n)
	for i := range users {
		users[i] = user
	}
	a.word(frame+frameUserMetas, a.list(users...))
}

func TestMessagesAreThereToTheLast(t *testing.T) {
	for _, l := range layouts {
		for _, c := range []struct {
			size uint32
			ok   bool
		}{{0, true}, {1, true}, {100, true}, {101, false}, {1 << 20, false}, {1<<32 - 1, false}} {
			a := newArena(t, 1<<17)
			batch, frame, _, _, _ := a.batch(l)
			a.custom(l, frame, a.base+uintptr(len(a.bytes))-100, c.size, 1)
			var out event.Frame
			r := Reader{Layout: l}
			if err := readAll(&r, batch, &out); (err == nil) != c.ok || c.ok && (len(out.Custom) != 1 || len(out.Custom[0]) != int(c.size)) {
				t.Error(c.size, err, len(out.Custom))
			}
		}
	}
}

func TestMessagesTogetherHaveALimit(t *testing.T) {
	l := layouts[len(layouts)-1]
	a := newArena(t, 18<<20)
	batch, frame, _, _, _ := a.batch(l)
	a.custom(l, frame, a.alloc(17<<20), maxMessage, 100)
	var out event.Frame
	r := Reader{Layout: l}
	if err := readAll(&r, batch, &out); err != nil || !r.Broken() || len(out.Custom) != maxContent/maxMessage {
		t.Error(err, r.Broken(), len(out.Custom))
	}
	a.used = 17 << 20
	a.custom(l, frame, a.base, maxMessage+1, 1)
	if err := readAll(&r, batch, &out); err != nil || !r.Broken() || len(out.Custom[0]) != maxMessage {
		t.Error("a message that was cut is not told", err)
	}
}

func TestTextsTogetherHaveALimit(t *testing.T) {
	l := layouts[len(layouts)-1]
	a := newArena(t, 1<<20)
	batch, frame, _, user, meta := a.batch(l)
	long := a.text(strings.Repeat("x", maxText))
	for _, at := range []uintptr{eventTime, eventObjectID, eventSensorStr, l.otherAttrs, l.videoPath} {
		a.word(meta+at, long)
	}
	vector := a.alloc(1 << 19)
	a.word(meta+eventSignature, vector)
	a.u32(meta+eventSignature+signatureSize, 1<<16)
	users := make([]uintptr, 1000)
	for i := range users {
		users[i] = user
	}
	a.word(frame+frameUserMetas, a.list(users...))
	var out event.Frame
	r := Reader{Layout: l}
	err := readAll(&r, batch, &out)
	size := 0
	for i := range out.Events {
		e := &out.Events[i]
		size += len(e.Timestamp.Value) + len(e.VideoPath.Value) + 8*len(e.Signature)
	}
	if err != nil || !r.Broken() || size > maxContent || len(out.Events) != 1000 {
		t.Error(err, r.Broken(), size, len(out.Events))
	}
}

func TestPayloadsHaveALimit(t *testing.T) {
	l := layouts[len(layouts)-1]
	a := newArena(t, 18<<20)
	batch, frame, _, _, _ := a.batch(l)
	data := a.alloc(17 << 20)
	payload := func(size uint32) uintptr {
		p := a.alloc(16)
		a.word(p+payloadData, data)
		a.u32(p+payloadSize, size)
		user := a.meta(userSize, typePayload)
		a.word(user+userData, p)
		return user
	}
	read := func(users ...uintptr) (n int, r Reader) {
		a.word(frame+frameUserMetas, a.list(users...))
		if err := Guard(func() { r.Payloads(batch, func(s Sealed) bool { n++; return s.Data[len(s.Data)-1] == 0 }) }); err != nil {
			t.Error(err)
		}
		return n, r
	}
	if n, r := read(payload(3), payload(maxMessage+1), payload(1<<32-1), payload(maxMessage)); n != 2 || r.Refused() != 2 {
		t.Error(n, r.Refused())
	}
	users, largest := make([]uintptr, 20), payload(maxMessage)
	for i := range users {
		users[i] = largest
	}
	if n, r := read(users...); n != maxPayloads/maxMessage || r.Refused() != 20-n {
		t.Error(n, r.Refused())
	}
	if n, r := read(payload(1)); n != 1 || r.Refused() != 0 {
		t.Error(n, r.Refused())
	}
}

func TestObjectTypes(t *testing.T) {
	for _, l := range layouts {
		want := map[int32]event.ObjectType{0: event.Vehicle, 8: event.FaceExt, 10: event.Dummy, 11: event.Product, 12: event.ProductExt, 257: event.Custom, -1: -1}
		if l.Releases[0].Less(Release{8, 0}) {
			want[9], want[10], want[11], want[12] = event.Product, event.ProductExt, event.Unknown, event.Unknown
		}
		for number, typ := range want {
			if got := l.objectType(number); got != typ {
				t.Errorf("%v: object type %d is %d instead of %d", l.Releases, number, got, typ)
			}
		}
	}
}
