// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	slotCount   = 16384 // of a cluster
	askTimeout  = 2 * time.Second
	askLifetime = time.Second // after which the slots are asked for again
)

// A topology knows which server takes the messages of a stream. One goroutine uses it.
type topology struct {
	o       *options
	cluster bool
	master  string // of a single server or of Sentinel
	turn    int    // of the servers, which is tried next
	slots   *[slotCount]string
	nodes   []string       // of the cluster, as they were known last
	asks    map[int]string // slots that are being moved, and where their keys may be already
	until   time.Time      // when asks are forgotten
}

func newTopology(o *options) *topology {
	return &topology{o: o, cluster: o.cluster, asks: map[int]string{}}
}

// find asks where the servers are.
func (t *topology) find(ctx context.Context) error {
	switch {
	case t.o.sentinelMaster != "":
		return t.findMaster(ctx)
	case t.cluster:
		return t.findSlots(ctx)
	}
	t.master = t.o.servers[t.turn%len(t.o.servers)]
	t.turn++
	return nil
}

// findMaster asks the Sentinels in turn.
func (t *topology) findMaster(ctx context.Context) error {
	var errs []error
	for range t.o.servers {
		addr := t.o.servers[t.turn%len(t.o.servers)]
		t.turn++
		found, err := t.askSentinel(ctx, addr)
		if err == nil {
			t.master, t.turn = found, t.turn-1 // this one knows: ask it again next time
			return nil
		}
		errs = append(errs, fmt.Errorf("sentinel %s: %w", addr, err))
		if ctx.Err() != nil {
			break
		}
	}
	return &unknownMaster{t.o, errs}
}

// An unknownMaster is the word of all Sentinels.
type unknownMaster struct {
	o    *options
	errs []error
}

func (e *unknownMaster) Error() string {
	var s []string
	o := *e.o
	o.ofSentinel = true
	for _, err := range e.errs {
		s = append(s, fmt.Sprintf("%s: %s", strings.SplitN(err.Error(), ": ", 2)[0], o.reason(errors.Unwrap(err))))
	}
	return strings.Join(s, ", ")
}

func (t *topology) askSentinel(ctx context.Context, addr string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	lib, nc, err := t.o.library(ctx, addr, true)
	if err != nil {
		return "", err
	}
	// The library does not look at a context while it waits for an answer.
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	defer func() { _ = nc.Close() }()
	c := goredis.NewSentinelClient(lib)
	defer func() { _ = c.Close() }()
	found, err := c.GetMasterAddrByName(ctx, t.o.sentinelMaster).Result()
	if errors.Is(err, goredis.Nil) {
		return "", &serverError{fmt.Sprintf("NOMASTER it knows no master named %q; check sentinel-master", t.o.sentinelMaster)}
	}
	if err != nil {
		return "", fromGoRedis(err)
	}
	if len(found) != 2 {
		return "", errReply
	}
	return net.JoinHostPort(found[0], found[1]), nil
}

// fromGoRedis makes the library's errors ours.
func fromGoRedis(err error) error {
	var e goredis.Error
	if errors.As(err, &e) && !errors.Is(err, goredis.Nil) {
		return &serverError{e.Error()}
	}
	return err
}

// findSlots asks the nodes in turn, those that answered before first.
func (t *topology) findSlots(ctx context.Context) (err error) {
	if !t.until.IsZero() && time.Now().After(t.until) {
		clear(t.asks)
		t.until = time.Time{}
	}
	seeds := slices.Clone(t.nodes)
	for _, s := range t.o.servers {
		if !slices.Contains(seeds, s) {
			seeds = append(seeds, s)
		}
	}
	for _, addr := range seeds {
		var found []goredis.ClusterSlot
		if found, err = t.askSlots(ctx, addr); err == nil {
			if err = t.take(found, addr); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

func (t *topology) askSlots(ctx context.Context, addr string) ([]goredis.ClusterSlot, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	lib, nc, err := t.o.library(ctx, addr, false)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	defer func() { _ = nc.Close() }()
	c := goredis.NewClient(lib)
	defer func() { _ = c.Close() }()
	//lint:ignore SA1019 what is to be used instead needs Redis 7
	found, err := c.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, fromGoRedis(err)
	}
	return found, nil
}

// take enters what the node at addr has told.
func (t *topology) take(found []goredis.ClusterSlot, addr string) error {
	var slots [slotCount]string
	var nodes []string
	for _, s := range found {
		if len(s.Nodes) == 0 || s.Start < 0 || s.End >= slotCount {
			continue
		}
		node := sameHost(s.Nodes[0].Addr, addr)
		for i := s.Start; i <= s.End; i++ {
			slots[i] = node
		}
		if !slices.Contains(nodes, node) {
			nodes = append(nodes, node)
		}
	}
	if len(nodes) == 0 {
		return &serverError{"CLUSTERDOWN no slot has a node"}
	}
	t.slots, t.nodes = &slots, nodes
	for slot, at := range t.asks {
		if slots[slot] == at {
			delete(t.asks, slot)
		}
	}
	return nil
}

// sameHost completes an address without a host, which means the host that gave it.
func sameHost(addr, from string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || (host != "" && host != "?") {
		return addr
	}
	host, _, _ = net.SplitHostPort(from)
	return net.JoinHostPort(host, port)
}

// place is where the messages of a stream go; ask means with ASKING before each.
func (t *topology) place(topic []byte) (addr string, ask bool) {
	if !t.cluster {
		return t.master, false
	}
	slot := slotOf(topic)
	if addr, ask = t.asks[slot]; ask {
		return addr, true
	}
	return t.slots[slot], false
}

// home is a server that stands for all while there is no message.
func (t *topology) home() string {
	if t.cluster {
		return t.nodes[0]
	}
	return t.master
}

// moved takes a redirection up. It reports whether that can help.
func (t *topology) moved(e *serverError, from string) bool {
	slot, addr, ask, ok := e.redirect()
	if !ok || t.o.sentinelMaster != "" || (t.o.clusterAsked && !t.o.cluster) || t.o.db != 0 {
		return false
	}
	if !t.cluster {
		t.cluster = true
		t.nodes = []string{from}
	}
	if ask {
		t.asks[slot] = sameHost(addr, from)
		t.until = time.Now().Add(askLifetime)
	} else {
		delete(t.asks, slot)
	}
	return true
}

// stale reports that the slots should be asked for again.
func (t *topology) stale() bool { return !t.until.IsZero() && time.Now().After(t.until) }

// slotOf is the slot of a key: CRC16 (XMODEM) of it, or of what stands between its first { and the next }.
func slotOf(key []byte) int {
	if i := bytes.IndexByte(key, '{'); i >= 0 {
		if n := bytes.IndexByte(key[i+1:], '}'); n > 0 {
			key = key[i+1 : i+1+n]
		}
	}
	var crc uint16
	for _, b := range key {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^b]
	}
	return int(crc) % slotCount
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()
