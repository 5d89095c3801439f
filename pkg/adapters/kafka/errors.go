// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

// #include "shim.h"
import "C"

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A failure is what happened to one message.
type failure struct {
	code  int
	topic string
	size  uint64 // of key and payload
	local bool   // refused before it was sent
}

// deliveryError explains why a message was refused for good.
func (c *conn) deliveryError(f failure) *adapters.DeliveryError {
	e := &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: f.topic, Host: c.info.Host}
	switch f.code {
	case C.EW_ERR_UNKNOWN_TOPIC, C.EW_ERR_UNKNOWN_TOPIC_OR_PART, C.EW_ERR_UNKNOWN_PARTITION:
		e.Kind = adapters.ErrUnknownTopic
		e.Cause = "the topic does not exist and the broker did not create it"
		e.Remedy = "create the topic, correct its name, or set auto.create.topics.enable=true on the broker"
	case C.EW_ERR_MSG_SIZE_TOO_LARGE, C.EW_ERR_RECORD_LIST_TOO_LARGE:
		e.Kind = adapters.ErrTooLarge
		if f.local {
			e.Cause = fmt.Sprintf("the message of %d bytes is larger than message.max.bytes=%s", f.size, c.maxBytes)
			e.Remedy = "raise message.max.bytes in proto-cfg (and on the broker), or send less"
			if limit, err := strconv.ParseUint(c.maxBytes, 10, 64); err == nil && f.size <= limit {
				e.Cause = fmt.Sprintf("the message of %d bytes is larger than the whole queue, queue.buffering.max.kbytes=%s",
					f.size, c.maxQueue)
				e.Remedy = "raise queue.buffering.max.kbytes in proto-cfg, or send less"
			}
		} else {
			e.Cause = fmt.Sprintf("the message of %d bytes, key included, is larger than the broker or the topic accepts", f.size)
			e.Remedy = "raise message.max.bytes on the broker or max.message.bytes on the topic, or send less"
		}
	case C.EW_ERR_TOPIC_AUTHORIZATION_FAILED, C.EW_ERR_CLUSTER_AUTHORIZATION_FAILED:
		e.Kind = adapters.ErrUnauthorized
		e.Cause = "the broker does not allow this user to write"
		e.Remedy = "grant WRITE on the topic, or check sasl.username"
		if f.code == C.EW_ERR_CLUSTER_AUTHORIZATION_FAILED {
			e.Remedy = "grant IDEMPOTENT_WRITE on the cluster, or set enable.idempotence=false"
		}
	case C.EW_ERR_MSG_TIMED_OUT, C.EW_ERR_TIMED_OUT:
		e.Kind = adapters.ErrExpired
		e.Cause = "the broker did not acknowledge the message within message.timeout.ms"
		e.Remedy = "check the broker, or set message.timeout.ms=0 to keep trying"
	case C.EW_ERR_TOPIC_EXCEPTION:
		e.Cause = "the topic name is not valid"
		e.Remedy = "use letters, digits, '.', '_' and '-', at most 249"
	case C.EW_ERR_PURGE_QUEUE, C.EW_ERR_PURGE_INFLIGHT:
		e.Kind = adapters.ErrPurged
		e.Cause = "the message was given up when the connection was closed"
	default:
		e.Cause = "the broker refused the message: " + errText(f.code)
		if f.local {
			e.Cause = "librdkafka refused the message: " + errText(f.code)
		}
		switch f.code {
		case C.EW_ERR_POLICY_VIOLATION, C.EW_ERR_INVALID_RECORD:
			e.Remedy = "check the topic's configuration (a compacted topic wants a key)"
		case C.EW_ERR_INVALID_TIMESTAMP:
			e.Remedy = "check the clock and the timestamp of the message; the topic's message.timestamp.before.max.ms and " +
				"message.timestamp.after.max.ms say what the broker accepts"
		case C.EW_ERR_NOT_ENOUGH_REPLICAS:
			e.Remedy = "check that enough brokers run for min.insync.replicas"
		}
	}
	return e
}

func errText(code int) string {
	return C.GoString(C.rd_kafka_err2str(C.int(code)))
}

var (
	// 127.0.0.1:9092/bootstrap: or sasl_ssl://host:9092/1: in front of librdkafka's texts
	brokerPrefix = regexp.MustCompile(`^(?:\[thrd:[^\]]*\]: )?(?:[a-z_]+://)?\S+/(?:bootstrap|[0-9]+): `)
	afterSuffix  = regexp.MustCompile(` ?\((?:after [0-9]+ms in state [A-Z_0-9]+)?(?:, )?(?:[0-9]+ identical error\(s\) suppressed)?\)$`)
)

// connectReason words why there is no connection, without what changes from one attempt to the next.
func connectReason(code int, text string) string {
	text = brokerPrefix.ReplaceAllString(text, "")
	text = strings.TrimSpace(afterSuffix.ReplaceAllString(text, ""))
	if text == "" {
		text = errText(code)
	}
	if strings.Contains(text, "SASL") || strings.Contains(text, "Sasl") {
		code = C.EW_ERR_AUTHENTICATION // some brokers just hang up on a wrong password
	}
	switch {
	case strings.Contains(text, "PLAINTEXT broker listener"), strings.Contains(text, "SSL listener"), strings.Contains(text, "security.protocol"):
		return text + "; check security.protocol and the port: one side speaks TLS, or SASL, and the other does not"
	case strings.Contains(text, "alert") && strings.Contains(text, "certificate"):
		return text + "; the broker does not accept the client's certificate: check ssl.certificate.location and ssl.key.location, " +
			"the certificate's end, and that the broker trusts the authority that signed it"
	case strings.Contains(text, "protocol version"), strings.Contains(text, "unsupported protocol"), strings.Contains(text, "handshake failure"):
		return text + "; the broker speaks no version of TLS or no cipher suite that is allowed here: let it speak TLSv1.2 or TLSv1.3 " +
			"(ssl.enabled.protocols), and check ssl.cipher.suites and tls-min-version"
	}
	switch code {
	case C.EW_ERR_RESOLVE:
		return text + "; check the host name"
	case C.EW_ERR_SSL:
		return text + "; check ssl.ca.location, that the broker's certificate is valid and names this host, and that the port speaks TLS"
	case C.EW_ERR_AUTHENTICATION, C.EW_ERR_SASL_AUTHENTICATION_FAILED:
		return text + "; check sasl.username, sasl.password and sasl.mechanisms"
	case C.EW_ERR_TRANSPORT:
		return text + "; check that the broker runs and that host and port are right"
	}
	return text
}

// newError explains why librdkafka refused the whole configuration.
func newError(text string) error {
	remedy := "correct proto-cfg"
	switch {
	case strings.Contains(text, "GSSAPI"):
		remedy = "set sasl.mechanisms (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER): Kerberos is not built in, and GSSAPI is the default"
	case strings.Contains(text, "sasl.username"):
		remedy = "set sasl.username and sasl.password in proto-cfg"
	case strings.Contains(text, "ssl.") || strings.Contains(text, "certificate"):
		remedy = "check the ssl.… options, the files that they name, and ssl.key.password"
	}
	return fmt.Errorf("librdkafka refuses the configuration: %s; %s", text, remedy)
}
