// SPDX-License-Identifier: LGPL-2.1-or-later

// Package msg2p uses converter libraries that others have written for nvmsgconv: shared objects that export the
// nvds_msg2p_* functions of DeepStream's nvmsgconv.h. Where there is no DeepStream, it makes the metadata that they
// read, in the layout of the newest release (capi/nvds_msg2p.h).
//
// A library is C code in our process: it is trusted. What it gives back is read with care; a fault inside of it
// is the process's end, since nobody knows which locks it held.
//
// Interface mirrored: nvds_msg2p_* of DeepStream 9.1.
package msg2p

/*
#cgo pkg-config: glib-2.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -I${SRCDIR}/../../capi
#cgo LDFLAGS: -ldl
#include "msg2p.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
)

// Options say which functions of a library are used.
type Options struct {
	New      bool // those for frames and objects, not those for events
	Multiple bool // those that make several messages
}

// A Context is a library at work. It is not safe for concurrent use.
type Context struct {
	// Lazy names what the library asks for and nobody has: a call of it would end the process. "" when all is there.
	Lazy     string
	lib      *C.EwMsg2p
	ctx      *C.NvDsMsg2pCtx
	multiple bool
	result   *C.EwMsg2pResult
}

// A LoadError is about the library itself: it cannot be opened, or is none.
type LoadError struct{ text string }

func (e *LoadError) Error() string { return e.text }

// Open opens the library at path and makes a context with its configuration, which is the library's business.
func Open(path, config string, payloadType int, o Options) (*Context, error) {
	if why, remedy := inspect(path); why != "" {
		return nil, &LoadError{fmt.Sprintf("the converter library %s cannot be opened: %s; %s", path, why, remedy)}
	}
	lib := (*C.EwMsg2p)(C.calloc(1, C.sizeof_EwMsg2p))
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var lazy *C.gchar
	if why := C.ew_msg2p_open(name, lib, &lazy); why != nil {
		defer C.g_free(C.gpointer(why))
		defer C.free(unsafe.Pointer(lib))
		return nil, &LoadError{cannotOpen(path, C.GoString((*C.char)(why)))}
	}
	c := &Context{lib: lib, multiple: o.Multiple, result: (*C.EwMsg2pResult)(C.calloc(1, C.sizeof_EwMsg2pResult))}
	if lazy != nil {
		c.Lazy = strings.TrimPrefix(C.GoString((*C.char)(lazy)), path+": ")
		C.g_free(C.gpointer(lazy))
	}
	if err := c.complete(path, o); err != nil {
		c.Close()
		return nil, err
	}
	var file *C.char
	if config != "" {
		file = C.CString(config)
		defer C.free(unsafe.Pointer(file))
	}
	if c.ctx = C.ew_msg2p_create(lib, file, C.gint(payloadType)); c.ctx == nil {
		c.Close()
		return nil, fmt.Errorf("nvds_msg2p_ctx_create of the library %s makes no context for payload-type=%d and config=%q; what it wants of them is up to the library, see what it prints",
			path, payloadType, config)
	}
	return c, nil
}

func cannotOpen(path, why string) string {
	why = strings.TrimPrefix(why, path+": ")
	remedy := "check the path, the file's permissions and, with ldd, the libraries that it needs itself"
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && strings.Contains(path, "/") {
		why = "there is no such file"
		remedy = "check the path"
		if !filepath.IsAbs(path) {
			remedy = "a relative path is looked for in the folder in which the application was started"
		}
	}
	return fmt.Sprintf("the converter library %s cannot be opened: %s; %s", path, why, remedy)
}

// complete checks that all functions are there that will be called. A library of an older release has not all of
// them, and works where they are not needed.
func (c *Context) complete(path string, o Options) error {
	missing := func(name, remedy string) error {
		return &LoadError{fmt.Sprintf("the converter library %s does not export %s; %s", path, name, remedy)}
	}
	const linkage = "a converter library exports the functions of DeepStream's nvmsgconv.h, with C linkage"
	switch {
	case c.lib.create == nil:
		return missing("nvds_msg2p_ctx_create", linkage)
	case c.lib.destroy == nil:
		return missing("nvds_msg2p_ctx_destroy", linkage)
	case c.lib.release == nil:
		return missing("nvds_msg2p_release", linkage)
	case !o.New && !o.Multiple && c.lib.generate == nil:
		return missing("nvds_msg2p_generate", linkage)
	case !o.New && o.Multiple && c.lib.generate_multiple == nil:
		return missing("nvds_msg2p_generate_multiple", "set multiple-payloads=false, which calls nvds_msg2p_generate")
	case o.New && !o.Multiple && c.lib.generate_new == nil:
		return missing("nvds_msg2p_generate_new", "set msg2p-newapi=false, which calls the functions of the older interface")
	case o.New && o.Multiple && c.lib.generate_multiple_new == nil:
		return missing("nvds_msg2p_generate_multiple_new", "set multiple-payloads=false, which calls nvds_msg2p_generate_new")
	}
	return nil
}

// Close ends the context. The library itself stays in the process.
func (c *Context) Close() {
	if c.ctx != nil {
		C.ew_msg2p_destroy(c.lib, c.ctx)
		c.ctx = nil
	}
	C.free(unsafe.Pointer(c.result))
	C.free(unsafe.Pointer(c.lib))
	c.result, c.lib = nil, nil
}

// An Event is the address of an NvDsEventMsgMeta, with its type.
type Event = C.EwMsg2pEvent

// EventAt makes an Event of an address.
func EventAt(kind int32, meta uintptr) Event {
	return Event{_type: C.gint32(kind), meta: C.guint64(meta)}
}

// Events has the library make messages of events. Each is valid during the call of emit alone.
func (c *Context) Events(events []Event, emit func([]byte)) error {
	multiple := C.gboolean(C.FALSE)
	if c.multiple {
		multiple = C.TRUE
	}
	C.ew_msg2p_events(c.lib, c.ctx, unsafe.SliceData(events), C.guint(len(events)), multiple, c.result)
	return c.take(emit)
}

// Frame has the library make messages of a frame, or of an object in it (0: of none).
func (c *Context) Frame(object, frame uintptr, audio bool, emit func([]byte)) error {
	multiple, sound := C.gboolean(C.FALSE), C.gboolean(C.FALSE)
	if c.multiple {
		multiple = C.TRUE
	}
	if audio {
		sound = C.TRUE
	}
	C.ew_msg2p_frame(c.lib, c.ctx, C.guint64(object), C.guint64(frame), sound, multiple, c.result)
	return c.take(emit)
}

// maxMessages is how many a call may give, maxSize how many bytes one may have: more is no such number, but memory
// that nobody wrote.
const (
	maxMessages = 1 << 16
	maxSize     = 64 << 20
)

// take hands out the messages and gives them back to the library: nothing of it is kept.
func (c *Context) take(emit func([]byte)) error {
	if c.result.count > maxMessages {
		return fmt.Errorf("the converter library says that it made %d messages of one call; %d is the most", c.result.count, maxMessages)
	}
	large := 0
	err := nvdsmeta.Guard(func() {
		for i := range uintptr(c.result.count) {
			p := uintptr(unsafe.Pointer(c.result.one))
			if c.result.list != nil {
				p = nvdsmeta.Word(uintptr(unsafe.Pointer(c.result.list)) + i*unsafe.Sizeof(p))
			}
			switch data := nvdsmeta.PayloadAt(p); {
			case len(data) > maxSize:
				large = len(data)
			case len(data) > 0:
				touch(data)
				emit(data)
			}
		}
	})
	if err != nil { // what it gave is not to be believed, and giving it back would follow the same pointers
		return fmt.Errorf("what the converter library gave is no message: %w", err)
	}
	C.ew_msg2p_release(c.lib, c.ctx, c.result)
	if large > 0 {
		return fmt.Errorf("the converter library says that it made a message of %d bytes; %d is the most", large, maxSize)
	}
	return nil
}

// touch reads of every page, where a fault is an error: it may be C that copies, where it is the process's end.
//
//go:noinline
func touch(data []byte) (sum byte) {
	const page = 4096
	for i := 0; i < len(data); i += page {
		sum += data[i]
	}
	return sum + data[len(data)-1]
}
