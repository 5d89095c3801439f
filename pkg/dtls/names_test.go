// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

// Messages that only the tests tell apart (RFC 5246 section 7.4).
const (
	msgServerHello       = 2
	msgCertificate       = 11
	msgClientKeyExchange = 16
)
