// SPDX-License-Identifier: LGPL-2.1-or-later

// Command sim computes what cannot be tried: scripts/sim fleet lets a hundred thousand devices lose and
// regain their brokers, with the reconnect policy of pkg/broker. See docs/fleet.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// policies are the variants that are compared; the first of ours is the default of pkg/broker.
var policies = []Policy{
	ours("0.5 s … 30 s", 500*time.Millisecond, 30*time.Second),
	ours("0.1 s … 3 s", 100*time.Millisecond, 3*time.Second),
	ours("0.5 s … 10 s", 500*time.Millisecond, 10*time.Second),
	ours("0.5 s … 60 s", 500*time.Millisecond, 60*time.Second),
	ours("2 s … 120 s", 2*time.Second, 120*time.Second),
	fixed("fixed 1 s, no jitter", time.Second),
	fixed("fixed 30 s, no jitter", 30*time.Second),
}

var outages = []time.Duration{5 * time.Second, 5 * time.Minute}

func main() {
	if len(os.Args) < 2 || os.Args[1] != "fleet" {
		fmt.Fprintln(os.Stderr, "usage: scripts/sim fleet [--devices N] [--connects N] [--seed N] [--picture FILE]")
		os.Exit(2)
	}
	f := Fleet{Rate: 1, Drain: 50, Timeout: 10 * time.Second}
	set := flag.NewFlagSet("sim fleet", flag.ExitOnError)
	set.IntVar(&f.Devices, "devices", 100_000, "how many")
	set.Float64Var(&f.Connects, "connects", 5000, "connections a second that the brokers can make")
	set.Float64Var(&f.Ingress, "ingress", 400_000, "messages a second that the brokers take; each device makes 1")
	set.Uint64Var(&f.Seed, "seed", 1, "of the dice")
	picture := set.String("picture", "", "SVG file to draw")
	_ = set.Parse(os.Args[2:]) // it exits
	if f.Devices < 1 || f.Connects < 1 || f.Ingress <= f.Rate*float64(f.Devices) {
		fmt.Fprintln(os.Stderr, "scripts/sim: at least one device and one connection a second, and brokers that take more than the devices make (--ingress)")
		os.Exit(2)
	}
	var all [][]Result
	for _, outage := range outages {
		f.Outage = outage
		fmt.Printf("%d devices, brokers away for %v, then %g connections/s and %g messages/s\n\n", f.Devices, outage, f.Connects, f.Ingress)
		fmt.Println("| pauses | attempts/s while away | peak attempts/s after | given up | 99 % connected | all connected | all drained |")
		fmt.Println("|---|---|---|---|---|---|---|")
		var results []Result
		for _, p := range policies {
			r := f.Run(p)
			results = append(results, r)
			fmt.Printf("| %s | %.0f | %d | %d | %s | %s | %s |\n", r.Policy, r.Away, r.PeakUp, r.Lost, seconds(r.Connected), seconds(r.AllConnected), seconds(r.Drained))
		}
		fmt.Println()
		all = append(all, results)
	}
	if *picture == "" {
		return
	}
	if err := os.WriteFile(*picture, draw(f, all), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "scripts/sim:", err)
		os.Exit(1)
	}
}

func seconds(d time.Duration) string {
	if d > limit-time.Hour {
		return "never"
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
