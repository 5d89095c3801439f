// SPDX-License-Identifier: LGPL-2.1-or-later

package nvds

// #include <stdlib.h>
// #include "nvds.h"
import "C"

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// receiveWait is how long the receiving goroutine sleeps when nothing comes.
const receiveWait = time.Second

// A subscription is what is asked for, and what the library was told.
type subscription struct {
	config   adapters.SubscribeConfig
	receiver adapters.Receiver
	due      bool // the library is to be told
}

// Subscribe notes what to receive; the library is asked once it is connected. The interface has no
// acknowledgements and no groups: what the library hands over counts as taken by its server, and Group and
// FromStart are the library's own matter.
func (c *conn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	if !c.lib.Capabilities().Subscribe {
		return fmt.Errorf("the library %s cannot subscribe: it does not export nvds_msgapi_subscribe: %w", c.lib.path, adapters.ErrNotSupported)
	}
	for _, t := range cfg.Topics {
		if t == "" || strings.ContainsRune(t, 0) {
			return fmt.Errorf("topic %q: a topic to subscribe to is empty or holds a NUL character; correct it", t)
		}
	}
	if cfg.Window <= 0 {
		cfg.Window = adapters.DefaultWindow
	}
	cfg.Topics = slices.Clone(cfg.Topics)
	c.mu.Lock()
	c.sub = subscription{config: cfg, receiver: r, due: len(cfg.Topics) > 0} // none: what still comes is dropped
	c.mu.Unlock()
	c.poke()
	return nil
}

// Ack makes room in the window.
func (c *conn) Ack(messages []adapters.Incoming) {
	n := 0
	for i := range messages {
		if messages[i].Token == c { // of this connection
			n++
		}
	}
	if n > 0 {
		C.ewn_ack(c.c, C.size_t(n))
	}
}

// subscribe asks the library, on the goroutine that sends.
func (c *conn) subscribe() {
	c.mu.Lock()
	sub := c.sub
	c.sub.due = false
	c.mu.Unlock()
	if !sub.due {
		return
	}
	topics := (**C.char)(C.calloc(C.size_t(len(sub.config.Topics)), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	if topics == nil {
		c.fail("no memory for a subscription")
		return
	}
	list := unsafe.Slice(topics, len(sub.config.Topics))
	for i, t := range sub.config.Topics {
		list[i] = C.CString(t)
	}
	code := C.ewn_subscribe(c.c, topics, C.int(len(list)), C.size_t(sub.config.Window))
	for _, t := range list {
		C.free(unsafe.Pointer(t))
	}
	C.free(unsafe.Pointer(topics))
	for _, t := range sub.config.Topics {
		var err error
		if code != C.EWN_OK {
			err = c.deliveryError(int(code), t)
		}
		if !c.quiet() {
			sub.receiver.Subscribed(t, err)
		}
	}
}

// receive passes messages on until the connection ends.
func (c *conn) receive() {
	for !c.quiet() {
		m := C.ewn_receive(c.c, C.int(receiveWait.Milliseconds()))
		if m == nil {
			continue
		}
		var list []adapters.Incoming
		dropped := 0
		for m != nil {
			next := m.next
			if m.err == C.EWN_OK {
				data := unsafe.Slice((*byte)(unsafe.Pointer(uintptr(unsafe.Pointer(m))+unsafe.Sizeof(*m))), int(m.topic_len)+int(m.size))
				list = append(list, adapters.Incoming{Topic: string(data[:m.topic_len]), Payload: slices.Clone(data[m.topic_len:]), Token: c})
			} else {
				dropped++
			}
			C.free(unsafe.Pointer(m))
			m = next
		}
		if dropped > 0 {
			C.ewn_ack(c.c, C.size_t(dropped))
			if !c.quiet() {
				c.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: c.lib.protocol,
					Text: fmt.Sprintf("%s: the library reported %d errors where messages were expected", c.info.Host, dropped)})
			}
		}
		c.mu.Lock()
		r, on := c.sub.receiver, len(c.sub.config.Topics) > 0
		c.mu.Unlock()
		switch {
		case len(list) == 0 || c.quiet():
		case r == nil || !on:
			C.ewn_ack(c.c, C.size_t(len(list)))
		default:
			r.Receive(list)
		}
	}
}
