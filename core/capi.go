// SPDX-License-Identifier: LGPL-2.1-or-later

package main

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wno-unused-parameter
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "capi.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/msgapi"
)

// reconnectEnv names the file that says how to reconnect; reconnectFile is where DeepStream has it.
const (
	reconnectEnv  = "EDGEWIRE_RECONNECT_CONFIG"
	reconnectFile = "/opt/nvidia/deepstream/deepstream/sources/libs/nvmsgbroker/cfg_nvmsgbroker.txt"
)

// greeting is the protocol whose adaptor in DeepStream tells the host that the connection stands.
const greeting = "mqtt"

// collectAtOnce is how many answers cross the border in one call.
const collectAtOnce = 64

// A capiClient is what a handle of the C interfaces stands for.
type capiClient struct {
	*msgapi.Client
	handle  uintptr
	family  C.int
	onEvent C.ew_connect_cb
	ready   chan struct{} // EW_MSGBROKER: one token: there are answers to tell
	stop    chan struct{}
	wg      sync.WaitGroup
	ending  atomic.Bool // somebody disconnects
}

// Handles are numbers, never given twice: one that is used after its end, or was none, is refused.
var capiClients = struct {
	sync.Mutex
	last uintptr
	m    map[uintptr]*capiClient
}{m: map[uintptr]*capiClient{}}

func capiClientOf(handle uintptr) *capiClient {
	capiClients.Lock()
	defer capiClients.Unlock()
	return capiClients.m[handle]
}

func capiLog(level adapters.LogLevel, facility, text string) {
	f, t := C.CString(facility), C.CString(text)
	C.ew_log(C.int(level), f, t)
	C.free(unsafe.Pointer(f))
	C.free(unsafe.Pointer(t))
}

// capiGuard turns a panic into an error of the C function.
func capiGuard(what string, result *C.int) {
	if v := recover(); v != nil {
		capiLog(adapters.LogError, "msgapi", fmt.Sprintf("internal error in %s: %v", what, v))
		*result = C.EW_ERR
	}
}

// result is the number for an error in the client's family.
func (c *capiClient) result(err error) C.int {
	switch {
	case err == nil:
		return C.EW_OK
	case c.family == C.EW_MSGAPI && errors.Is(err, adapters.ErrUnknownTopic):
		return C.EW_UNKNOWN_TOPIC
	case c.family == C.EW_MSGBROKER && errors.Is(err, adapters.ErrNotSupported):
		return C.EW_NOT_SUPPORTED
	}
	return C.EW_ERR
}

func capiReconnect(family C.int) (broker.Reconnect, error) {
	if path := gst.Getenv(reconnectEnv); path != "" {
		return broker.LoadReconnect(path)
	}
	if family != C.EW_MSGBROKER {
		return broker.Reconnect{}, nil
	}
	r, err := broker.LoadReconnect(reconnectFile)
	if err != nil { // usually there is none
		return broker.Reconnect{}, nil
	}
	return r, nil
}

//export edgewire_capi_connect
func edgewire_capi_connect(family C.int, protoLib, connStr, config *C.char, cb C.ew_connect_cb) (handle C.uintptr_t) {
	var failed C.int
	defer func() {
		if failed != C.EW_OK {
			handle = 0
		}
	}()
	defer capiGuard("connect", &failed)
	c := &capiClient{family: family, onEvent: cb, ready: make(chan struct{}, 1), stop: make(chan struct{})}
	capiClients.Lock()
	capiClients.last++
	c.handle = capiClients.last
	capiClients.Unlock()
	reconnect, err := capiReconnect(family)
	if err == nil {
		o := msgapi.Options{ProtoLib: C.GoString(protoLib), ConnStr: C.GoString(connStr), ConfigPath: C.GoString(config),
			Reconnect: reconnect, OnState: c.state, Log: func(e adapters.LogEntry) { capiLog(e.Level, e.Facility, e.Text) }}
		if family == C.EW_MSGBROKER {
			o.Ready = c.poke
		}
		c.Client, err = msgapi.Connect(o)
	}
	if err != nil {
		capiLog(adapters.LogError, "connect", err.Error())
		return 0
	}
	capiClients.Lock()
	capiClients.m[c.handle] = c
	capiClients.Unlock()
	if family == C.EW_MSGBROKER {
		safe.Go(&c.wg, "call backs of a C application", nil, c.tell)
	} else if cb != nil && C.GoString(protoLib) == greeting {
		safe.Go(&c.wg, "call back of a C application", nil, func() { C.ew_call_connect(cb, C.uintptr_t(c.handle), C.EW_EVT_SUCCESS) })
	}
	return C.uintptr_t(c.handle)
}

// state tells a host what became of the connection. An adaptor's host is told only of an end that is for
// good: everything else is mended here, and a host that took it for its own affair would throw away what
// waits.
func (c *capiClient) state(s broker.State, _ string) {
	status := C.int(-1)
	switch {
	case c.family == C.EW_MSGAPI && s == broker.StateFailed:
		status = C.EW_EVT_SERVICE_DOWN
	case c.family == C.EW_MSGAPI:
	case s == broker.StateConnected:
		status = C.EW_OK
	case s == broker.StateReconnecting:
		status = C.EW_RECONNECTING
	case s == broker.StateFailed:
		status = C.EW_ERR
	}
	if status >= 0 && c.onEvent != nil {
		C.ew_call_connect(c.onEvent, C.uintptr_t(c.handle), status)
	}
}

func (c *capiClient) poke() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// tell calls the host back with answers, on a goroutine of its own.
func (c *capiClient) tell() {
	for {
		over := false
		select {
		case <-c.ready:
		case <-c.stop:
			over = true
		}
		c.tellAll()
		if over {
			return
		}
	}
}

func (c *capiClient) tellAll() {
	for _, d := range c.Collect(1 << 30) {
		done := c.done(&d)
		C.ew_call_done(&done, C.uintptr_t(c.handle))
	}
}

func (c *capiClient) done(d *msgapi.Done) C.ew_done {
	out := C.ew_done{result: C.int32_t(c.result(d.Err))}
	*(*uintptr)(unsafe.Pointer(&out.callback)) = d.Callback // the host's own pointers, which Go never follows
	*(*uintptr)(unsafe.Pointer(&out.user)) = d.User
	return out
}

func capiBytes(payload unsafe.Pointer, size C.size_t) []byte {
	if payload == nil {
		return nil
	}
	return unsafe.Slice((*byte)(payload), int(size))
}

//export edgewire_capi_send_async
func edgewire_capi_send_async(handle C.uintptr_t, topic *C.char, payload unsafe.Pointer, size C.size_t, cb, user C.uintptr_t) (result C.int) {
	defer capiGuard("send_async", &result)
	c := capiClientOf(uintptr(handle))
	if c == nil {
		return C.EW_ERR
	}
	err := c.SendAsync(C.GoString(topic), capiBytes(payload, size), uintptr(cb), uintptr(user))
	if err != nil {
		capiLog(adapters.LogWarning, "send_async", "message refused: "+err.Error())
	}
	return c.result(err)
}

//export edgewire_capi_send
func edgewire_capi_send(handle C.uintptr_t, topic *C.char, payload unsafe.Pointer, size C.size_t) (result C.int) {
	defer capiGuard("send", &result)
	c := capiClientOf(uintptr(handle))
	if c == nil {
		return C.EW_ERR
	}
	err := c.Send(C.GoString(topic), capiBytes(payload, size))
	if err != nil {
		capiLog(adapters.LogWarning, "send", "message not delivered: "+err.Error())
	}
	return c.result(err)
}

// edgewire_capi_collect fills out with at most capacity answers; the caller makes the call backs.
//
//export edgewire_capi_collect
func edgewire_capi_collect(handle C.uintptr_t, out *C.ew_done, capacity C.size_t) (n C.size_t) {
	var failed C.int
	defer capiGuard("do_work", &failed)
	c := capiClientOf(uintptr(handle))
	if c == nil {
		return 0
	}
	list := unsafe.Slice(out, int(capacity))
	for i, d := range c.Collect(int(capacity)) {
		list[i] = c.done(&d)
		n++
	}
	return n
}

//export edgewire_capi_subscribe
func edgewire_capi_subscribe(handle C.uintptr_t, topics **C.char, count C.int, cb C.ew_message_cb, user unsafe.Pointer) (result C.int) {
	defer capiGuard("subscribe", &result)
	c := capiClientOf(uintptr(handle))
	if c == nil || cb == nil || topics == nil || count <= 0 {
		return C.EW_ERR
	}
	names := make([]string, count)
	for i, t := range unsafe.Slice(topics, int(count)) {
		names[i] = C.GoString(t)
	}
	err := c.Subscribe(names, func(topic string, payload []byte) {
		// Some hosts take a message for a text. What follows the payload in memory is others'.
		t, m := C.CString(topic), C.CBytes(append(payload[:len(payload):len(payload)], 0))
		C.ew_call_message(cb, handle, m, C.int(len(payload)), t, user)
		C.free(unsafe.Pointer(t))
		C.free(m)
	}, func(topic string, err error) {
		capiLog(adapters.LogError, "subscribe", "topic "+topic+": "+err.Error())
	})
	if err != nil {
		capiLog(adapters.LogError, "subscribe", err.Error())
	}
	return c.result(err)
}

// edgewire_capi_disconnect ends the connection. The call backs of what it leaves without an answer have
// been called by EW_MSGBROKER when it returns; of EW_MSGAPI they are there to be collected, and who was given
// EW_OK does so and releases the handle by edgewire_capi_release. Of several threads that disconnect at once one is.
//
//export edgewire_capi_disconnect
func edgewire_capi_disconnect(handle C.uintptr_t) (result C.int) {
	defer capiGuard("disconnect", &result)
	c := capiClientOf(uintptr(handle))
	if c == nil {
		return C.EW_ERR
	}
	if c.ending.Swap(true) {
		return C.EW_ERR
	}
	end := func() {
		if err := c.Close(); err != nil && !errors.Is(err, msgapi.ErrClosed) {
			capiLog(adapters.LogWarning, "disconnect", err.Error())
		}
		close(c.stop)
		c.wg.Wait()
	}
	if c.family == C.EW_MSGBROKER { // nobody finds it any more
		capiRelease(c.handle)
	}
	if uintptr(C.ew_inside()) == c.handle { // from within a call back, which the end would wait for
		safe.Go(nil, "end of a C application's connection", nil, func() {
			end()
			if c.family == C.EW_MSGAPI { // nobody collects any more
				c.tellAll()
			}
		})
		return C.EW_OK
	}
	end()
	return C.EW_OK
}

func capiRelease(handle uintptr) {
	capiClients.Lock()
	delete(capiClients.m, handle)
	capiClients.Unlock()
}

//export edgewire_capi_release
func edgewire_capi_release(handle C.uintptr_t) { capiRelease(uintptr(handle)) }

// edgewire_capi_signature writes the signature and a NUL into out, which has room for 65 bytes at least.
//
//export edgewire_capi_signature
func edgewire_capi_signature(protoLib, connStr, config *C.char, out *C.char) (result C.int) {
	defer capiGuard("connection_signature", &result)
	s, err := broker.Signature(broker.Options{ProtoLib: C.GoString(protoLib), ConnStr: C.GoString(connStr), ConfigPath: C.GoString(config)})
	if err != nil {
		capiLog(adapters.LogError, "connection_signature", err.Error())
		return C.EW_ERR
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(out)), 65), s+"\x00")
	return C.EW_OK
}
