// SPDX-License-Identifier: LGPL-2.1-or-later

package nvds

// #include <stdlib.h>
// #include "nvds.h"
import "C"

import (
	"cmp"
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
	due      bool   // the library is to be told
	life     uint64 // counts the subscriptions of a connection
	again    bool   // what the former one was handed, and is held, is to be handed over once more
}

// A receipt is the Token of a message.
type receipt struct {
	of           *conn
	life, number uint64
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
	c.call.Lock() // whoever is being called returns first
	defer c.call.Unlock()
	c.mu.Lock()
	// Without topics, what still comes is dropped.
	c.sub = subscription{config: cfg, receiver: r, due: len(cfg.Topics) > 0, life: c.sub.life + 1, again: true}
	c.mu.Unlock()
	c.poke()
	C.ewn_rouse(c.c)
	return nil
}

// Ack makes room in the window.
func (c *conn) Ack(messages []adapters.Incoming) {
	n := 0
	c.mu.Lock()
	for i := range messages {
		r, ok := messages[i].Token.(receipt)
		if !ok || r.of != c || r.life != c.sub.life {
			continue
		}
		at, held := slices.BinarySearchFunc(c.held, r.number, func(m adapters.Incoming, number uint64) int {
			return cmp.Compare(m.Token.(receipt).number, number)
		})
		if held {
			c.held = slices.Delete(c.held, at, at+1)
			n++
		}
	}
	c.mu.Unlock()
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
		c.tell(sub.life, func() { sub.receiver.Subscribed(t, err) })
	}
}

// tell calls the receiver of a subscription, if it is still the one.
func (c *conn) tell(life uint64, f func()) {
	c.call.Lock()
	defer c.call.Unlock()
	c.mu.Lock()
	current := c.sub.life == life
	c.mu.Unlock()
	if current && !c.quiet() {
		f()
	}
}

// receive passes messages on until the connection ends.
func (c *conn) receive() {
	for !c.quiet() {
		m := C.ewn_receive(c.c, C.int(receiveWait.Milliseconds()))
		var list []adapters.Incoming
		dropped := 0
		for m != nil {
			next := m.next
			if m.err == C.EWN_OK {
				data := unsafe.Slice((*byte)(unsafe.Pointer(uintptr(unsafe.Pointer(m))+unsafe.Sizeof(*m))), int(m.topic_len)+int(m.size))
				list = append(list, adapters.Incoming{Topic: string(data[:m.topic_len]), Payload: slices.Clone(data[m.topic_len:])})
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
		// What a subscription was to be handed that is replaced meanwhile is held, and so goes to the next one.
		if list, sub := c.hold(list); len(list) > 0 {
			c.tell(sub.life, func() { sub.receiver.Receive(list) })
		}
	}
}

// hold keeps what is about to be handed over until it is acknowledged, and puts what is to be handed over
// once more in front: the library brings nothing twice. While there is no subscription, all is dropped.
func (c *conn) hold(list []adapters.Incoming) ([]adapters.Incoming, subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.sub.again
	c.sub.again = false
	if len(c.sub.config.Topics) == 0 {
		if n := len(c.held) + len(list); n > 0 {
			C.ewn_ack(c.c, C.size_t(n))
		}
		c.held = nil
		return nil, subscription{}
	}
	first := len(c.held)
	if again {
		first = 0
		for i := range c.held {
			c.held[i].Redelivered = true
		}
	}
	c.held = append(c.held, list...)
	for i := first; i < len(c.held); i++ {
		c.number++
		c.held[i].Token = receipt{c, c.sub.life, c.number}
	}
	return slices.Clone(c.held[first:]), c.sub
}
