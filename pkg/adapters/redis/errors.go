// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A serverError is an error that the server answers, such as "WRONGTYPE Operation against …".
type serverError struct{ text string }

func (e *serverError) Error() string { return e.text }

// code is the first word of the text.
func (e *serverError) code() string {
	code, _, _ := strings.Cut(e.text, " ")
	return code
}

// What the server cannot do now and may be able to do later, and what helps. A message that is answered so is
// sent again.
var passing = map[string]string{
	"READONLY":   "it is a replica; name the master, or use sentinel-master or cluster",
	"LOADING":    "it has just started and reads its data; wait",
	"MASTERDOWN": "it is a replica that has lost its master; name the master, or use sentinel-master or cluster",
	"OOM":        "raise maxmemory, delete or trim keys, or set streamsize so that streams stay small",
	"MISCONF":    "it cannot write to its disk; see to the disk and to its log",
	"NOREPLICAS": "too few replicas are connected for min-replicas-to-write; see to them",
	"BUSY":       "a script blocks it; end that with SCRIPT KILL or wait",
	"CLUSTERDOWN": "the cluster is not whole; see to its nodes and slots " +
		"(redis-cli --cluster check)",
	"TRYAGAIN":  "the slot is being moved; wait",
	"NOAUTH":    "it wants a password; set password (and username)",
	"WRONGPASS": "check username and password",
	"DENIED":    "it is in protected mode; set a password on it and in the configuration",
	"UNBLOCKED": "it has changed its role; wait",
}

// redirect reads "MOVED 3999 127.0.0.1:6381" and "ASK …".
func (e *serverError) redirect() (slot int, addr string, ask, ok bool) {
	f := strings.Fields(e.text)
	if len(f) != 3 || (f[0] != "MOVED" && f[0] != "ASK") {
		return 0, "", false, false
	}
	if _, err := fmt.Sscan(f[1], &slot); err != nil || slot < 0 || slot >= slotCount {
		return 0, "", false, false
	}
	return slot, f[2], f[0] == "ASK", true
}

// refusal makes the error of a message that the server refuses for good.
func (o *options) refusal(e *serverError, host, topic string, size int) *adapters.DeliveryError {
	d := &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: topic, Host: host, Cause: "the server refused the message: " + o.group.Mask(e.text)}
	switch code := e.code(); {
	case code == "WRONGTYPE":
		d.Cause = "the key exists and is no stream (" + e.text + ")"
		d.Remedy = "choose another topic, or delete the key"
	case code == "NOPERM":
		d.Kind = adapters.ErrUnauthorized
		d.Cause = "the user may not add to this stream (" + e.text + ")"
		d.Remedy = fmt.Sprintf("grant it, such as ACL SETUSER %s ~%s +xadd, or check username", o.user(), topic)
	case strings.Contains(e.text, "invalid bulk length"), strings.Contains(e.text, "too large to be stored"),
		strings.Contains(e.text, "string exceeds maximum allowed size"):
		d.Kind = adapters.ErrTooLarge
		d.Cause = fmt.Sprintf("the message of %d bytes is larger than the server accepts (%s)", size, e.text)
		d.Remedy = "raise proto-max-bulk-len on the server, or send less"
	case strings.Contains(e.text, "unknown command"):
		d.Remedy = "streams need Redis 5 or later, and XADD must not be renamed"
	case strings.Contains(e.text, "stream top item"):
		d.Remedy = "the stream's last entry lies in the future; delete it, or correct the server's clock"
	default:
		d.Remedy = "see the server's documentation of this error"
	}
	return d
}

func (o *options) user() string {
	if o.username == "" {
		return "default"
	}
	return o.username
}

// reason says, for a person, why there is no connection, and what to do.
func (o *options) reason(err error) string {
	text, remedy := err.Error(), ""
	var (
		server   *serverError
		dns      *net.DNSError
		host     x509.HostnameError
		unknown  x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		header   tls.RecordHeaderError
		timeout  net.Error
		op       *net.OpError
		alert    tls.AlertError
		shake    *handshakeError
		answered = errors.As(err, &server)
	)
	if errors.As(err, &op) && op.Err != nil {
		text = op.Err.Error()
	}
	switch {
	case answered && strings.Contains(server.text, "max number of clients"):
		remedy = "raise maxclients on the server, or end other clients"
	case answered && strings.Contains(server.text, "without any password configured"):
		text, remedy = server.text, "remove password, or set requirepass on the server"
	case answered && strings.Contains(server.text, "wrong number of arguments for 'auth'"):
		text, remedy = server.text, "remove username: users need Redis 6 or later"
	case answered && server.code() == "NOPERM":
		text, remedy = server.text, "allow it to this user, or check username"
	case answered && strings.Contains(server.text, "DB index"):
		text, remedy = server.text, "correct db, or raise databases on the server"
	case answered:
		text, remedy = server.text, passing[server.code()]
	case errors.As(err, &dns):
		text, remedy = "the name "+dns.Name+" cannot be resolved ("+dns.Err+")", "check the host name"
	case errors.Is(err, errSpeaksTLS):
		remedy = "set tls=true, or use its port without TLS"
	case errors.As(err, &header):
		text, remedy = "the server does not speak TLS on this port", "set tls=false, or use its TLS port (tls-port)"
	case errors.As(err, &host):
		text, remedy = "the server's certificate is for another name ("+host.Error()+")", "correct the host, or set tls-server-name"
	case errors.As(err, &unknown):
		text, remedy = "the server's certificate is from an authority that is not trusted", "set tls-ca-file to that authority's certificate"
	case errors.As(err, &invalid), errors.As(err, &verify):
		remedy = "check the server's certificate and the clock"
	case errors.As(err, &alert), strings.Contains(text, "tls: "), strings.Contains(text, "remote error"):
		remedy = "the server may want a client's certificate (tls-cert-file, tls-key-file) from an authority that it trusts, or another version or cipher suite"
	case errors.Is(err, syscall.ECONNREFUSED):
		text, remedy = "connection refused", "check that the server runs and that host and port are right"
	case errors.Is(err, errSilent):
	case errors.As(err, &shake):
		text, remedy = "the server does not answer as TLS wants it ("+text+")", "check the port: set tls=false, or use its TLS port (tls-port)"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		text, remedy = "no answer in time", "check host, port and network"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text, remedy = "the server closed the connection", "check that it runs, and its log"
		if !o.tls || o.ofSentinel && !o.sentinelTLS {
			remedy += "; if it speaks TLS on this port, set tls=true"
		}
	case errors.Is(err, errReply):
		remedy = "check that host and port are those of a Redis"
	}
	if o.ofSentinel {
		remedy = sentinelKeys.Replace(remedy)
	}
	if remedy != "" {
		text += "; " + remedy
	}
	return o.group.Mask(text)
}

// sentinelKeys are the keys that say for Sentinels what others say for the servers.
var sentinelKeys = strings.NewReplacer("username", "sentinel-username", "set password", "set sentinel-password", "and password", "and sentinel-password",
	"remove password", "remove sentinel-password", "set tls=", "set sentinel-tls=")
