// SPDX-License-Identifier: LGPL-2.1-or-later

// Package dtls holds the DTLS 1.2 connections of the media elements: a
// registry by connection-id, the two sides of a connection (an encoder that
// sends and a decoder that receives), the handshake, the keys for SRTP and the
// protection of application data.
//
// The handshake is that of pkg/dtls/handshake, driven by what comes: the
// encoder's dispatcher computes, so it has no goroutine of its own and no
// streaming thread waits for it. An established connection has no timer either,
// only two AEADs and a replay window.
//
// A datagram passes pkg/dtls/wire before it reaches the handshake: a server
// answers a ClientHello without state until the cookie comes back (RFC 6347
// section 4.2.1), and flights are judged by their signatures before the
// handshake sees them, so that spoofed datagrams cannot end a handshake. In epoch 1
// nothing reaches anybody unless its record authenticates.
//
// What is offered: DTLS 1.2 with ECDHE_ECDSA and ECDHE_RSA and AES-128-GCM or
// AES-256-GCM (RFC 5288, RFC 5289), extended master secret (RFC 7627), use_srtp
// (RFC 5764, RFC 7714), certificates on both ends. The keys for SRTP are
// exported by RFC 5705 with the label EXTRACTOR-dtls_srtp.
//
// Without a common SRTP profile the handshake completes all the same, as RFC
// 5764 section 4.1 allows (the extension is left out): application data flows,
// there are no Keys and a Warning says why.
//
// Retransmission is the package's own: every flight is repeated after
// RetransmitInitial, doubling up to RetransmitMax (RFC 6347 section 4.2.4),
// with fresh record sequence numbers.
package dtls
