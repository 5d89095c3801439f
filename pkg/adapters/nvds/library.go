// SPDX-License-Identifier: LGPL-2.1-or-later

// Package nvds makes adapters of protocol libraries that others have written for DeepStream: shared objects
// that export the nvds_msgapi_* functions of DeepStream's nvds_msgapi.h.
//
// Required are nvds_msgapi_connect, _send_async, _do_work and _disconnect; used where they are there:
// _subscribe, _getversion, _get_protocol_name. A library is opened once, with RTLD_LAZY and RTLD_LOCAL, and
// stays. It gets the connection string and the path of the configuration file as they are, NULL where empty.
//
// One goroutine sends, one lets the library work: nvds_msgapi_do_work is called while answers are due, at
// least every 10 ms, and always by a protocol that has MQTT in its name, which keeps itself alive with it.
// connect, disconnect and subscribe run beside nothing else. The call back of a message may come from any
// thread; one that comes twice, late or from within nvds_msgapi_send_async does no harm.
//
// A library that calls back with NVDS_MSGAPI_EVT_DISCONNECT or _SERVICE_DOWN is disconnected and connected
// again, and what it had not answered is sent again.
package nvds

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #cgo LDFLAGS: -ldl -lpthread
// #include <stdlib.h>
// #include "nvds.h"
import "C"

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

func init() { adapters.RegisterLoader(load) }

var libraries = struct {
	sync.Mutex
	byPath map[string]*library
}{byPath: map[string]*library{}}

// A library is a shared object that was opened.
type library struct {
	l              *C.ewn_lib
	path, protocol string
}

// load opens the library at path, once.
func load(path string) (adapters.Adapter, error) {
	libraries.Lock()
	defer libraries.Unlock()
	if l := libraries.byPath[path]; l != nil {
		return l, nil
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var why [1024]C.char
	l := C.ewn_open(name, &why[0], C.size_t(len(why)))
	if l == nil {
		text := strings.TrimPrefix(C.GoString(&why[0]), path+": ")
		remedy := "check the path, the library's permissions and, with ldd, the libraries that it needs itself"
		if strings.HasPrefix(text, "it does not export") {
			remedy = "a protocol adaptor exports the functions of DeepStream's nvds_msgapi.h, with C linkage"
		}
		return nil, fmt.Errorf("proto-lib: cannot use the library %s: %s; %s", path, text, remedy)
	}
	lib := &library{l: l, path: path, protocol: C.GoString(C.ewn_protocol(l))}
	if lib.protocol == "" {
		lib.protocol = filepath.Base(path)
	}
	libraries.byPath[path] = lib
	return lib, nil
}

// Name tells the library apart from every other one.
func (l *library) Name() string { return adapters.LibraryPrefix + l.path }

// Capabilities are those of the interface: a topic, bytes, and an answer.
func (l *library) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Acknowledged: true, Binary: true, Subscribe: C.ewn_can_subscribe(l.l) != 0}
}

// SplitConnStr leaves the connection string whole, since only the library knows what it means. As in
// DeepStream, what follows the last semicolon is the default topic, if it is the third part or a later one.
func (l *library) SplitConnStr(connStr string) (servers, topic string, err error) {
	if strings.Count(connStr, ";") >= 2 {
		topic = strings.TrimSpace(connStr[strings.LastIndexByte(connStr, ';')+1:])
	}
	return connStr, topic, nil
}

// version is the library's own, for logs.
func (l *library) version() string { return C.GoString(C.ewn_version(l.l)) }
