// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"errors"
	"sync"
)

// registry holds the connections by id while a side of them is open.
var registry = struct {
	mu   sync.Mutex
	byID map[string]*Connection
}{byID: map[string]*Connection{}}

var errNoID = errors.New("the connection-id is empty: give the encoder and the decoder of a connection the same one")

// OpenEncoder takes the sending side of the connection id, which is made if
// the decoder has not made it yet. owner names the element in errors.
func OpenEncoder(id, owner string, h EncoderHandler) (*Encoder, error) {
	if id == "" {
		return nil, errNoID
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	c := registry.byID[id]
	if c == nil {
		c = newConnection(id)
		registry.byID[id] = c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enc != nil {
		return nil, &TakenError{ID: id, Side: "encoder", Owner: c.enc.owner}
	}
	c.enc = newEncoder(c, owner, h)
	return c.enc, nil
}

// OpenDecoder takes the receiving side of the connection id, which is made if
// the encoder has not made it yet. owner names the element in errors.
func OpenDecoder(id, owner string, config DecoderConfig, h DecoderHandler) (*Decoder, error) {
	if id == "" {
		return nil, errNoID
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	c := registry.byID[id]
	if c == nil {
		c = newConnection(id)
		registry.byID[id] = c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dec != nil {
		return nil, &TakenError{ID: id, Side: "decoder", Owner: c.dec.owner}
	}
	c.dec = newDecoder(c, owner, config, h)
	c.begin()
	return c.dec, nil
}

// release forgets a connection that has no side any more.
func release(c *Connection) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enc == nil && c.dec == nil && registry.byID[c.id] == c {
		delete(registry.byID, c.id)
	}
}

// Lookup says whether a connection of this id exists.
func Lookup(id string) bool {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return registry.byID[id] != nil
}

// Connections is the number of connections that exist.
func Connections() int {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return len(registry.byID)
}
