// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"fmt"
	"math"
)

var colours = []string{"#1b6ca8", "#5b9a3c", "#7a5ba8", "#c9a227", "#8a8a8a", "#b0562f", "#d06090"}

// draw makes the picture: a row for each outage, attempts per second and the messages that wait.
func draw(f Fleet, all [][]Result) []byte {
	const width, height, left, top, gap = 430, 190, 70, 64, 96
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		2*(width+left)+40, top+len(all)*(height+gap))
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="white"/>`)
	for i, p := range policies {
		x, y := left+i%4*240, 16+i/4*18
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s</text>`+"\n",
			x, y, x+22, y, colours[i], x+28, y+4, p.Name)
	}
	for row, results := range all {
		outage := int(outages[row].Seconds())
		end := outage + 120
		y0 := top + row*(height+gap) + height + 20
		attempts, waiting := 0.0, 0.0
		for _, r := range results {
			for _, n := range r.PerSecond {
				attempts = math.Max(attempts, float64(n))
			}
			for _, n := range r.Backlog {
				waiting = math.Max(waiting, n)
			}
		}
		for col, title := range []string{"attempts to connect per second", "messages that wait in the fleet (millions)"} {
			x0 := left + col*(width+left)
			fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="bold">%v away: %s</text>`+"\n", x0, y0-height-10, outages[row], title)
			low, high := 10.0, math.Pow(10, math.Ceil(math.Log10(attempts)))
			if col == 1 {
				low, high = 0, waiting*1.05
			}
			at := func(t int, v float64) string {
				x := float64(x0) + float64(t)/float64(end)*width
				y := v / high
				if col == 0 {
					y = math.Log(math.Max(v, low)/low) / math.Log(high/low)
				}
				return fmt.Sprintf("%.1f,%.1f", x, float64(y0)-y*height)
			}
			for i := 0; i <= 4; i++ {
				v, label := high*float64(i)/4, ""
				if col == 0 {
					if v = low * math.Pow(10, float64(i)); v > high {
						break
					}
					label = fmt.Sprintf("%g", v)
				} else {
					label = fmt.Sprintf("%.1f", v/1e6)
				}
				y := at(0, v)[len(fmt.Sprintf("%.1f,", float64(x0))):]
				fmt.Fprintf(&b, `<line x1="%d" y1="%s" x2="%d" y2="%s" stroke="#ddd"/><text x="%d" y="%s" text-anchor="end">%s</text>`+"\n",
					x0, y, x0+width, y, x0-6, y, label)
			}
			for i := 0; i <= 4; i++ {
				t := end * i / 4
				fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%d s</text>`+"\n", x0+width*i/4, y0+16, t)
			}
			back := x0 + width*outage/end
			fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#444" stroke-dasharray="4 3"/><text x="%d" y="%d" font-size="10">the brokers are back</text>`+"\n",
				back, y0, back, y0-height, back+4, y0-height+10)
			for i, r := range results {
				series := r.Backlog
				if col == 0 {
					series = make([]float64, len(r.PerSecond))
					for s, n := range r.PerSecond {
						series[s] = float64(n)
					}
				}
				fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.6" points="`, colours[i])
				for t, v := range series {
					if t <= end {
						fmt.Fprint(&b, at(t, v), " ")
					}
				}
				fmt.Fprintln(&b, `"/>`)
			}
		}
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="11" fill="#444">%d devices, 1 message/s each; brokers make %g connections/s and take %g messages/s (scripts/sim fleet)</text>`+"\n",
		left, top+len(all)*(height+gap)-8, f.Devices, f.Connects, f.Ingress)
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}
