// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"
)

var small = Fleet{Devices: 2000, Outage: time.Minute, Rate: 1, Drain: 50, Ingress: 8000, Connects: 100, Timeout: 10 * time.Second, Seed: 7}

func TestEqualSeedsGiveEqualFleets(t *testing.T) {
	p := ours("p", 500*time.Millisecond, 30*time.Second)
	a, b := small.Run(p), small.Run(p)
	if !reflect.DeepEqual(a, b) {
		t.Fatal("two runs differ")
	}
	other := small
	other.Seed++
	if c := other.Run(p); reflect.DeepEqual(a.PerSecond, c.PerSecond) {
		t.Fatal("another seed gives the same fleet")
	}
}

// What must hold whatever the dice say.
func TestBounds(t *testing.T) {
	r := small.Run(ours("p", 500*time.Millisecond, 30*time.Second))
	if fastest := time.Duration(float64(small.Devices) / small.Connects * float64(time.Second)); r.AllConnected < fastest-2*time.Second {
		t.Errorf("all connected after %v; the brokers cannot do it in less than %v", r.AllConnected, fastest)
	}
	if r.AllConnected < r.Connected || r.Drained < r.AllConnected || r.Drained > limit/2 {
		t.Errorf("99 %% after %v, all after %v, drained after %v", r.Connected, r.AllConnected, r.Drained)
	}
	sum := 0
	for _, n := range r.PerSecond {
		sum += n
	}
	if uint64(sum) != r.Attempts || r.Attempts < uint64(small.Devices) {
		t.Errorf("%d attempts, %d by second", r.Attempts, sum)
	}
	if waited := slices.Max(r.Backlog); waited < 0.9*float64(small.Devices)*60 || waited > float64(small.Devices)*(60+r.AllConnected.Seconds()) {
		t.Errorf("%g messages waited", waited)
	}
	if last := r.Backlog[len(r.Backlog)-1]; last > float64(small.Devices)*5 {
		t.Errorf("%g wait at the end", last)
	}
}

// Jitter is what keeps a fleet from coming back in step.
func TestJitterSpreads(t *testing.T) {
	spread, inStep := small.Run(ours("p", 30*time.Second, 30*time.Second)), small.Run(fixed("f", 30*time.Second))
	if peak, without := slices.Max(spread.PerSecond[30:60]), slices.Max(inStep.PerSecond[30:60]); peak*5 > without {
		t.Errorf("peaks of %d with jitter and %d without", peak, without)
	}
}

func TestThePictureIsXML(t *testing.T) {
	var all [][]Result
	f := small
	f.Devices, f.Ingress = 200, 800
	for _, outage := range outages {
		f.Outage = outage
		var results []Result
		for _, p := range policies {
			results = append(results, f.Run(p))
		}
		all = append(all, results)
	}
	d := xml.NewDecoder(bytes.NewReader(draw(f, all)))
	lines := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != 2*len(policies)*len(outages) {
		t.Errorf("%d lines", lines)
	}
}
