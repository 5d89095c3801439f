// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
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

// A reason is a code of MQTT 5.0, section 2.4, in words.
type reason struct {
	text, remedy string
}

const (
	codeNoSubscribers  = 0x10
	codeBadVersion     = 0x84
	codeBadCredentials = 0x86
	codeNotAuthorised  = 0x87
	codeServerBusy     = 0x89
	codeTakenOver      = 0x8e
	codeTopicInvalid   = 0x90
	codeIDInUse        = 0x91
	codeIDNotFound     = 0x92
	codeTooLarge       = 0x95
	codeQuota          = 0x97
	codeSharedMissing  = 0x9e
)

const checkUser = "check username and password"

var reasons = map[byte]reason{
	0x04:               {"disconnected, will included", ""},
	0x80:               {"unspecified error", "look into the server's log"},
	0x81:               {"malformed packet", "look into the server's log"},
	0x82:               {"protocol error", "look into the server's log"},
	0x83:               {"refused for a reason of the server's own", "look into the server's log"},
	codeBadVersion:     {"this version of the protocol is not supported", "set protocol-version"},
	0x85:               {"the client identifier is not valid", "set another client-id"},
	codeBadCredentials: {"bad user name or password", checkUser},
	codeNotAuthorised:  {"not authorised", checkUser + ", and what the server allows this user"},
	0x88:               {"server unavailable", ""},
	codeServerBusy:     {"server busy", ""},
	0x8a:               {"this client is banned", "ask who runs the server"},
	0x8b:               {"the server is shutting down", ""},
	0x8c:               {"bad authentication method", checkUser},
	0x8d:               {"keep alive timeout", "check the network, or raise keep-alive"},
	codeTakenOver:      {"the session was taken over", ""},
	0x8f:               {"the topic filter is not valid", "correct the topic"},
	codeTopicInvalid:   {"the topic name is not accepted", "correct the topic"},
	codeIDInUse:        {"packet identifier in use", ""},
	codeIDNotFound:     {"packet identifier not found", ""},
	0x93:               {"more messages at once than the server takes", "lower max-inflight"},
	0x94:               {"topic alias not valid", ""},
	codeTooLarge:       {"the packet is larger than the server takes", "raise the server's limit, or send less"},
	0x96:               {"the rate of messages is too high", "send less often, or raise the server's limit"},
	codeQuota:          {"a quota of the server is exceeded", "send less, or raise the server's limit"},
	0x98:               {"ended by an administrator", ""},
	0x99:               {"the payload is not in the format that was promised", "correct the payload"},
	0x9a:               {"the server keeps no retained messages", "set retain=0"},
	0x9b:               {"the server does not support this quality of service", "set a lower qos"},
	0x9c:               {"use another server", "correct the connection string"},
	0x9d:               {"the server has moved", "correct the connection string"},
	codeSharedMissing:  {"the server has no shared subscriptions", "leave the consumer group out"},
	0x9f:               {"too many connections at once", ""},
	0xa0:               {"the server's longest time for a connection is over", ""},
	0xa2:               {"the server has no wildcard subscriptions", "subscribe to whole topics"},
}

// connect311 are the return codes of CONNACK in MQTT 3.1.1 (section 3.2.2.3) as those of version 5.
var connect311 = map[byte]byte{1: codeBadVersion, 2: 0x85, 3: 0x88, 4: codeBadCredentials, 5: codeNotAuthorised}

// explain words a code, with what the server says about it.
func explain(code byte, said string) string {
	r, ok := reasons[code]
	if !ok {
		r.text = "unknown reason"
	}
	text := fmt.Sprintf("%s (MQTT reason 0x%02x)", r.text, code)
	if said = printable(said); said != "" {
		text += fmt.Sprintf(", %q", said)
	}
	if r.remedy != "" {
		text += "; " + r.remedy
	}
	return text
}

// printable bounds what a server says: it lands in logs.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// refusal is the error of one message that the server has refused.
func refusal(host, topic string, code byte, said string, size int) *adapters.DeliveryError {
	e := &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: topic, Host: host,
		Cause: "the server refused the message: " + reasons[code].text, Remedy: reasons[code].remedy}
	if said = printable(said); said != "" {
		e.Cause += fmt.Sprintf(", %q", said)
	}
	switch code {
	case codeNotAuthorised:
		e.Kind = adapters.ErrUnauthorized
		e.Cause = "the server does not allow this user to publish to the topic"
		e.Remedy = "allow it in the server's access rules, or check username and topic"
	case codeTopicInvalid:
		e.Kind = adapters.ErrUnknownTopic
	case codeTooLarge:
		e.Kind = adapters.ErrTooLarge
		e.Cause = fmt.Sprintf("the message of %d bytes is larger than the server takes", size)
	}
	if e.Remedy == "" {
		e.Remedy = "look into the server's log"
	}
	if _, ok := reasons[code]; !ok {
		e.Cause = fmt.Sprintf("the server refused the message: reason 0x%02x", code)
	}
	return e
}

// errClosed is the end of a connection without a word.
var errClosed = errors.New("the server closed the connection without a reason")

// networkReason words why there is no connection.
func networkReason(err error, stage string) string {
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	text := err.Error()
	switch {
	case errors.As(err, &dns):
		return "cannot find the host " + dns.Name + ": " + dns.Err + "; check the host name"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; check that the server runs and that host and port are right"
	case errors.As(err, &hostname):
		return text + "; connect by a name that the certificate has, or set tls-server-name"
	case errors.As(err, &unknownCA):
		return text + "; name the authority of the server's certificate with tls-ca-file"
	case errors.As(err, &invalid):
		return text + "; replace the server's certificate"
	case strings.Contains(text, "first record does not look like a TLS handshake"):
		return "the server does not speak TLS on this port; check the port, or turn TLS off"
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"),
		strings.Contains(text, "unknown certificate"), strings.Contains(text, "certificate expired"),
		strings.Contains(text, "unknown certificate authority"), strings.Contains(text, "expired certificate"):
		return "the server refuses our certificate (" + text + "); set tls-cert-file and tls-key-file to one that it accepts"
	case strings.Contains(text, "tls: "):
		return text + "; check the tls keys"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer from the server in time (" + stage + "); check host, port and network"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if stage == stageTLS {
			return "the server closed the connection during the TLS handshake; check that the port speaks TLS"
		}
		if stage == stageConnect {
			return "the server closed the connection instead of answering CONNECT; check that the port speaks MQTT as asked " +
				"(TLS or not, WebSocket or not), and protocol-version"
		}
		return errClosed.Error()
	}
	return text
}

// The stages of a connection, for networkReason.
const (
	stageDial    = "while connecting"
	stageTLS     = "during the TLS handshake"
	stageConnect = "to CONNECT"
	stageOpen    = "to anything"
)
