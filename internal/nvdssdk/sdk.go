// SPDX-License-Identifier: LGPL-2.1-or-later

// Package nvdssdk meets DeepStream in the running process: it finds the SDK's
// batch of metadata on a buffer, tells which release made it, and attaches
// payloads through the SDK's own functions, as nvmsgconv does. Nothing of the
// SDK is linked; see nvdsmeta for how the metadata is read.
package nvdssdk

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#cgo LDFLAGS: -ldl
#include "sdk.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
)

// Package is what our own plugins give as their package: they must not count as the SDK's.
const Package = "gst-edgewire"

// msgconvPlugin is the SDK's plugin whose version is known to be that of the release.
const msgconvPlugin = "nvdsgst_msgconv"

// SDK is the DeepStream of this process.
type SDK struct {
	Release nvdsmeta.Release
	Layout  *nvdsmeta.Layout
	Source  string // what told the release
	c       C.EwNvdsSdk
}

// ourRelease is the release_func of our payloads.
var ourRelease = uintptr(C.ew_nvds_release())

var (
	mu   sync.Mutex
	open *SDK
)

// Open finds out which release of DeepStream put its metadata on b. The answer
// is that of the process, and kept; an error is not.
func Open(b gst.Buffer) (*SDK, error) {
	mu.Lock()
	defer mu.Unlock()
	if open != nil {
		return open, nil
	}
	release, source, err := release(b)
	if err != nil {
		return nil, err
	}
	s := &SDK{Release: release, Source: source}
	if s.Layout, err = nvdsmeta.LayoutOf(release); err != nil {
		return nil, fmt.Errorf("%w (told by %s)", err, source)
	}
	C.ew_nvds_resolve(&s.c)
	if s.c.missing != nil {
		return nil, fmt.Errorf("DeepStream %v (told by %s) has no function %s in this process; is libnvds_meta another release's?",
			release, source, C.GoString(s.c.missing))
	}
	open = s
	return s, nil
}

// release asks the SDK's library first and its plugins then; two that
// contradict each other are both not believed.
func release(b gst.Buffer) (nvdsmeta.Release, string, error) {
	var v C.EwNvdsVersion
	C.ew_nvds_version(C.gpointer(b.Pointer()), &v)
	plugin, hasPlugin, err := pluginRelease(msgconvPlugin)
	if v.where != nil {
		r := nvdsmeta.Release{Major: int(v.major), Minor: int(v.minor)}
		source := C.GoString(v.where)
		if hasPlugin && err == nil && plugin != r {
			return r, "", fmt.Errorf("%s says that this is DeepStream %v, its plugin %s that it is %v; one process can only have one release", source, r, msgconvPlugin, plugin)
		}
		return r, source, nil
	}
	if hasPlugin {
		return plugin, "the plugin " + msgconvPlugin, err
	}
	return pluginsRelease()
}

// pluginsRelease is for a process that has other plugins of the SDK only: all must agree.
func pluginsRelease() (r nvdsmeta.Release, source string, err error) {
	names := C.ew_nvds_plugins()
	defer C.g_strfreev(names)
	for p := names; *p != nil; p = (**C.gchar)(unsafe.Add(unsafe.Pointer(p), unsafe.Sizeof(*p))) {
		name := C.GoString((*C.char)(*p))
		this, ok, err := pluginRelease(name)
		if !ok {
			continue
		}
		if err != nil {
			return r, "", err
		}
		if source != "" && this != r {
			return r, "", fmt.Errorf("%s is of DeepStream %v and the plugin %s of %v; one process can only have one release", source, r, name, this)
		}
		r, source = this, "the plugin "+name
	}
	if source == "" {
		return r, "", errors.New("nothing in this process tells its release of DeepStream: neither a library with nvds_version nor one of its plugins")
	}
	return r, source, nil
}

// pluginRelease is what the version of a plugin of the SDK says.
func pluginRelease(name string) (r nvdsmeta.Release, ok bool, err error) {
	n, ours := C.CString(name), C.CString(Package)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(ours))
	version := C.ew_nvds_plugin_version(n, ours)
	if version == nil {
		return r, false, nil
	}
	defer C.g_free(C.gpointer(version))
	text := C.GoString((*C.char)(version))
	parts := strings.SplitN(text, ".", 3)
	if len(parts) >= 2 {
		r.Major, err = strconv.Atoi(parts[0])
		if err == nil {
			r.Minor, err = strconv.Atoi(parts[1])
		}
	}
	if len(parts) < 2 || err != nil {
		return r, true, fmt.Errorf("the plugin %s has the version %q, which names no release of DeepStream", name, text)
	}
	return r, true, nil
}

// KeepShared is a C function, gboolean (*)(GstBuffer *), that is true for a
// buffer with a batch: what is attached goes to the batch, which has a lock of
// its own, and not to the buffer.
func KeepShared() unsafe.Pointer { return unsafe.Pointer(C.ew_nvds_has_batch) }

// Find gives the address of the batch on a buffer, 0 if it has none.
func Find(b gst.Buffer) uintptr {
	return uintptr(unsafe.Pointer(C.ew_nvds_find(C.gpointer(b.Pointer()))))
}

// Lock takes the lock of a batch. It belongs to the thread: only within one
// callback of C. The batch must have been looked at before.
func Lock(batch uintptr) { C.ew_nvds_lock(C.guint64(batch)) }

// Unlock gives the lock back.
func Unlock(batch uintptr) { C.ew_nvds_unlock(C.guint64(batch)) }

// Payload is one that is to be attached.
type Payload struct {
	Data             []byte
	Key, ContentType string
	TimestampMS      int64
	CompID           uint32
}

// Writer collects the payloads of a batch and attaches them in one call. It
// keeps its memory.
type Writer struct {
	data    []byte
	text    []byte
	records []C.EwNvdsRecord
}

// Reset forgets what was added.
func (w *Writer) Reset() { w.data, w.text, w.records = w.data[:0], w.text[:0], w.records[:0] }

// Trim empties b, and gives its memory back if that is much, and most of it was not needed this time: a single large
// batch is not kept for ever.
func Trim(b []byte) []byte {
	if cap(b) > 16<<20 && len(b) < cap(b)/4 {
		return nil
	}
	return b[:0]
}

// Add copies a payload for a frame.
func (w *Writer) Add(p *Payload, f nvdsmeta.Frame) {
	if f.Audio {
		w.add(p, f.Addr, C.EW_NVDS_TO_AUDIO_FRAME)
	} else {
		w.add(p, f.Addr, C.EW_NVDS_TO_FRAME)
	}
}

// AddToBatch copies a payload for a batch, of a scene of all its frames or not. All that a Writer holds at a
// time is for frames, or for batches.
func (w *Writer) AddToBatch(p *Payload, batch uintptr, scene bool) {
	if scene {
		w.add(p, batch, C.EW_NVDS_TO_BATCH_OF_SCENES)
	} else {
		w.add(p, batch, C.EW_NVDS_TO_BATCH)
	}
}

func (w *Writer) add(p *Payload, target uintptr, kind C.gint32) {
	w.records = append(w.records, C.EwNvdsRecord{
		target: C.guint64(target), kind: kind, data: C.guint64(len(w.data)), size: C.guint64(len(p.Data)),
		text: C.guint32(len(w.text)), key_len: C.guint32(len(p.Key)), content_type_len: C.guint32(len(p.ContentType)),
		comp_id: C.guint32(p.CompID), timestamp: C.gint64(p.TimestampMS),
	})
	w.data = append(w.data, p.Data...)
	w.text = append(append(w.text, p.Key...), p.ContentType...)
}

// Attach makes an NvDsPayload of each payload added, and empties the Writer.
// False: the SDK has no user meta left.
func (w *Writer) Attach(s *SDK, batch uintptr) bool {
	ok := len(w.records) == 0 || C.ew_nvds_attach(&s.c, C.guint64(batch),
		(*C.guint8)(unsafe.Pointer(unsafe.SliceData(w.data))), (*C.char)(unsafe.Pointer(unsafe.SliceData(w.text))),
		unsafe.SliceData(w.records), C.guint(len(w.records))) != 0
	w.data = Trim(w.data)
	w.Reset()
	return ok
}

// Side gives what our msgconv put beside an NvDsPayload: key, content type and
// time. The strings are views. False for a payload of others.
func Side(s nvdsmeta.Sealed) (p Payload, ok bool) {
	var side C.EwNvdsSide
	if s.Release != ourRelease || C.ew_nvds_side(C.guint64(s.User), &side) == 0 {
		return p, false
	}
	p.Key = unsafe.String((*byte)(unsafe.Pointer(side.key)), int(side.key_len))
	p.ContentType = unsafe.String((*byte)(unsafe.Pointer(side.content_type)), int(side.content_type_len))
	p.TimestampMS = int64(side.timestamp)
	return p, true
}
