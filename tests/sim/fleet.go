// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// A Fleet is what is simulated: devices that lose their brokers all at once and come back to them.
type Fleet struct {
	Devices  int
	Outage   time.Duration // from 0
	Rate     float64       // messages a second that each device makes
	Drain    float64       // messages a second that a device can send at most, the new ones included
	Ingress  float64       // messages a second that the brokers take from all
	Connects float64       // connections a second that the brokers can make (TLS)
	Timeout  time.Duration // a device gives an attempt up after it; the brokers' work on it is lost
	Seed     uint64
}

// A Policy says when a device tries again.
type Policy struct {
	Name  string
	Pause func(attempts int, dice *rand.Rand) time.Duration
}

// ours is the policy of pkg/broker.
func ours(name string, first, longest time.Duration) Policy {
	r := broker.Reconnect{Interval: first, MaxInterval: longest}
	return Policy{name, func(attempts int, dice *rand.Rand) time.Duration {
		return r.Pause(attempts, func(n time.Duration) time.Duration { return time.Duration(dice.Int64N(int64(n))) })
	}}
}

// fixed tries again after the same pause each time, as many clients do.
func fixed(name string, pause time.Duration) Policy {
	return Policy{name, func(int, *rand.Rand) time.Duration { return pause }}
}

// A Result is what became of a fleet.
type Result struct {
	Policy       string
	Attempts     uint64
	Away         float64       // attempts a second while the brokers are away, in the last half of that
	PeakUp       int           // attempts in a second from when they are back
	Lost         uint64        // attempts that were given up in the brokers' queue
	Connected    time.Duration // after the brokers are back: until 99 % are connected
	AllConnected time.Duration // until all are
	Drained      time.Duration // until all have sent what had gathered
	PerSecond    []int         // attempts, by second
	Backlog      []float64     // messages that wait in all devices, by second
}

// An event is a device that tries to connect.
type event struct {
	at     time.Duration
	device int
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].device < e[j].device
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// step is the grain of what is computed as a flow; attempts are events of their own.
const step = 100 * time.Millisecond

// limit ends a simulation that does not.
const limit = 2 * time.Hour

// Run simulates. Equal fleets and policies give equal results.
func (f Fleet) Run(p Policy) Result {
	dice := rand.New(rand.NewPCG(f.Seed, 1))
	r := Result{Policy: p.Name}
	attempts := make([]int, f.Devices)
	backlog := make([]float64, f.Devices)
	connected := make([]bool, f.Devices)
	// Each notices its loss within a second: at its next message, or by a closed connection.
	queue := make(events, f.Devices)
	for d := range queue {
		queue[d] = event{time.Duration(dice.Int64N(int64(time.Second))), d}
	}
	heap.Init(&queue)
	var line []event // at the brokers, in the order of their coming
	var budget float64
	left, behind := f.Devices, f.Devices
	fail := func(e event, at time.Duration) {
		attempts[e.device]++
		heap.Push(&queue, event{at + p.Pause(attempts[e.device], dice), e.device})
	}
	for now := time.Duration(0); (left > 0 || behind > 0) && now < limit; now += step {
		for len(queue) > 0 && queue[0].at < now+step {
			e := heap.Pop(&queue).(event)
			r.Attempts++
			second := int(e.at / time.Second)
			for len(r.PerSecond) <= second {
				r.PerSecond = append(r.PerSecond, 0)
			}
			r.PerSecond[second]++
			if e.at < f.Outage {
				fail(e, e.at) // refused at once
			} else {
				line = append(line, e)
			}
		}
		if now >= f.Outage {
			budget = min(budget+f.Connects*step.Seconds(), f.Connects)
			for len(line) > 0 && budget >= 1 {
				e := line[0]
				line = line[1:]
				budget--
				if now-e.at > f.Timeout { // it has gone, which the broker finds out by its own work
					r.Lost++
					fail(e, max(e.at+f.Timeout, now))
					continue
				}
				connected[e.device] = true
				if left--; left == f.Devices/100 {
					r.Connected = now - f.Outage
				}
				r.AllConnected = now - f.Outage
			}
		}
		behind = f.flow(backlog, connected)
		r.Drained = now + step - f.Outage
		if now%time.Second == 0 {
			sum := 0.0
			for _, b := range backlog {
				sum += b
			}
			r.Backlog = append(r.Backlog, sum)
		}
	}
	outage := int(f.Outage / time.Second)
	for s, n := range r.PerSecond {
		switch {
		case s >= outage:
			r.PeakUp = max(r.PeakUp, n)
		case s >= outage/2:
			r.Away += float64(n) / float64(outage-outage/2)
		}
	}
	return r
}

// flow lets a step's messages be made and sent, and counts the devices that have some left.
func (f Fleet) flow(backlog []float64, connected []bool) (behind int) {
	made := f.Rate * step.Seconds()
	busy, live := 0, 0
	for d := range backlog {
		switch {
		case !connected[d] || backlog[d] > 0:
			backlog[d] += made
			if connected[d] {
				busy++
			}
		default:
			live++
		}
	}
	share := f.Drain * step.Seconds()
	if busy > 0 { // the brokers share what those who are up to date leave
		share = min(share, max(f.Ingress*step.Seconds()-float64(live)*made, 0)/float64(busy))
	}
	for d := range backlog {
		if connected[d] && backlog[d] > 0 {
			backlog[d] = max(backlog[d]-share, 0)
		}
		if !connected[d] || backlog[d] > 0 {
			behind++
		}
	}
	return behind
}
