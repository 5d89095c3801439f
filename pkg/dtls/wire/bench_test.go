// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import "testing"

// BenchmarkGuardHandshake is what both Guards add to one handshake with
// mutual ECDSA certificates.
func BenchmarkGuardHandshake(b *testing.B) {
	items := tapeOf(b, "p256", 1200)
	b.ReportAllocs()
	for b.Loop() {
		client, server := newStackGuard(true), newStackGuard(false)
		for _, item := range items {
			if item.toClient {
				client.In(server.Out(item.datagram))
			} else {
				server.In(client.Out(item.datagram))
			}
		}
		if !client.flightDone || !server.flightDone {
			b.Fatal("the handshake did not pass")
		}
	}
}

// BenchmarkGuardData is what a protected record costs once connected.
func BenchmarkGuardData(b *testing.B) {
	f := newTestForger()
	d := f.record(typeApplicationData, 1, f.bytes(1000))
	g := newStackGuard(true)
	g.Established()
	b.ReportAllocs()
	for b.Loop() {
		if pass, _ := g.In(d); len(pass) != 1 {
			b.Fatal("it did not pass")
		}
	}
}

// BenchmarkFrontHello is what a ClientHello from anywhere costs.
func BenchmarkFrontHello(b *testing.B) {
	f, front := newTestForger(), NewFront()
	d := f.message(msgClientHello, 0, helloBody(f, nil, f.bytes(32), 1000))
	b.ReportAllocs()
	for b.Loop() {
		if reply, _, _, _ := front.In(d); reply == nil {
			b.Fatal("no answer")
		}
	}
}
