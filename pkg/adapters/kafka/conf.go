// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A property is one librdkafka option as the user wrote it.
type property struct {
	name, value string
	where       string // file:line: [group] key, for messages
	hidden      int    // the name may be the rest of a secret: number of the item, from 1; else 0
	secret      string // name of that secret
}

// fail words a complaint about the property. The value is never part of it.
func (p property) fail(cause, remedy string) error {
	where := p.where
	if where != "" {
		where += ": "
	}
	return fmt.Errorf("%slibrdkafka option %q %s; %s", where, p.name, cause, remedy)
}

// ours are the defaults that differ from librdkafka's; docs say why.
//   - enable.idempotence, acks, message.timeout.ms: nothing is lost, doubled or reordered while librdkafka retries
//   - linger.ms: batches are worth more than 5 ms
//   - batch.size: a message larger than this travels alone, so that one that the server finds too large
//     does not take others with it
//   - reconnect.backoff.max.ms: a server that is back is found within 3 s
//   - statistics.interval.ms: how soon a connection that stands or is lost shows. (A question that waits at
//     librdkafka for the cluster to return would be simpler, but makes it connect without pause.)
var ours = []property{
	{name: "enable.idempotence", value: "true"},
	{name: "acks", value: "all"},
	{name: "message.timeout.ms", value: "0"},
	{name: "linger.ms", value: "5"},
	{name: "batch.size", value: "262144"},
	{name: "reconnect.backoff.max.ms", value: "3000"},
	{name: "statistics.interval.ms", value: "300"},
	{name: "client.id", value: "gst-edgewire"},
}

// forced are options that this adapter needs for itself.
var forced = []property{
	{name: "log.queue", value: "true"},
	{name: "delivery.report.only.error", value: "false"},
}

// fileOptions name files that must be readable; true: a folder will do.
var fileOptions = map[string]bool{"ssl.ca.location": true, "https.ca.location": true, "ssl.certificate.location": false,
	"ssl.key.location": false, "ssl.keystore.location": false, "ssl.crl.location": false,
	"sasl.oauthbearer.assertion.file": false, "sasl.oauthbearer.assertion.private.key.file": false,
	"sasl.oauthbearer.assertion.jwt.template.file": false}

var knownOptions = sync.OnceValue(func() []string {
	var names []string
	add := func(dump **C.char, count C.size_t) {
		for i := 0; i+1 < int(count); i += 2 {
			names = append(names, C.GoString(unsafe.Slice(dump, int(count))[i]))
		}
		C.rd_kafka_conf_dump_free(dump, count)
	}
	var count C.size_t
	conf := C.rd_kafka_conf_new()
	add(C.rd_kafka_conf_dump(conf, &count), count)
	C.rd_kafka_conf_destroy(conf)
	topic := C.rd_kafka_topic_conf_new()
	add(C.rd_kafka_topic_conf_dump(topic, &count), count)
	C.rd_kafka_topic_conf_destroy(topic)
	// The dump leaves out what has no default.
	for _, n := range []string{"acks", "sasl.username", "sasl.password", "sasl.mechanism", "sasl.mechanisms", "ssl.key.location", "ssl.key.password", "ssl.key.pem",
		"ssl.certificate.location", "ssl.certificate.pem", "ssl.ca.location", "ssl.ca.pem", "ssl.crl.location",
		"ssl.keystore.location", "ssl.keystore.password", "ssl.cipher.suites", "ssl.curves.list", "ssl.sigalgs.list",
		"sasl.oauthbearer.config", "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret",
		"sasl.oauthbearer.scope", "sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.extensions",
		"bootstrap.servers", "metadata.broker.list", "debug", "group.id", "group.instance.id", "client.rack",
		"compression.type", "compression.codec", "linger.ms", "message.timeout.ms", "transactional.id",
		"topic.blacklist", "plugin.library.paths", "statistics.interval.ms", "https.ca.location", "https.ca.pem"} {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
})

// A conf is a librdkafka configuration under construction.
type conf struct {
	atEnd   bool // of a consumer: a new group begins with the next message
	ptr     *C.rd_kafka_conf_t
	secrets []string
	set     map[string]property // what the user set, by librdkafka's name
}

func newConf() *conf {
	return &conf{ptr: C.rd_kafka_conf_new(), set: map[string]property{}}
}

func (c *conf) free() {
	if c.ptr != nil {
		C.rd_kafka_conf_destroy(c.ptr)
		c.ptr = nil
	}
}

// take hands the configuration over to librdkafka.
func (c *conf) take() *C.rd_kafka_conf_t {
	p := c.ptr
	c.ptr = nil
	return p
}

// apply sets one property; own tells ours from the user's.
func (c *conf) apply(p property, own bool) error {
	if strings.ContainsRune(p.name+p.value, 0) {
		return p.fail("holds a NUL byte", "remove it")
	}
	if isSecret(p.name) && p.value != "" {
		// The longest first, so that one inside another leaves nothing of that.
		c.secrets = append(c.secrets, p.value)
		slices.SortStableFunc(c.secrets, func(a, b string) int { return len(b) - len(a) })
	}
	if p.name == "ssl.cipher.suites" {
		p.value = cipherNames(p.value)
	}
	name, value := C.CString(p.name), C.CString(p.value)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(value))
	var errstr [512]C.char
	switch C.rd_kafka_conf_set(c.ptr, name, value, &errstr[0], C.size_t(len(errstr))) {
	case C.EW_CONF_OK:
		if !own {
			c.set[p.name] = p
		}
		return nil
	case C.EW_CONF_UNKNOWN:
		if p.hidden > 0 {
			return fmt.Errorf(`%s: item %d is not an option of librdkafka; correct its name, or, if it belongs to the value of %s before it, `+
				`write the semicolon inside that value as \;`, p.where, p.hidden, p.secret)
		}
		if n, ok := nearest.Of(p.name, knownOptions()); ok {
			return p.fail("does not exist", "did you mean "+n+"?")
		}
		return p.fail("does not exist", "see librdkafka's CONFIGURATION.md for the names")
	}
	cause := "has an invalid value"
	if !isSecret(p.name) {
		cause += ": " + c.mask(C.GoString(&errstr[0]))
	}
	return p.fail(cause, "correct the value")
}

// get returns the value in force, "" when there is none.
func (c *conf) get(name string) string {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var buf [4096]C.char
	size := C.size_t(len(buf))
	if C.rd_kafka_conf_get(c.ptr, n, &buf[0], &size) != C.EW_CONF_OK {
		return ""
	}
	return C.GoString(&buf[0])
}

// milliseconds returns the value in force of an option that is a number of milliseconds.
func (c *conf) milliseconds(name string) time.Duration {
	ms, _ := strconv.ParseFloat(c.get(name), 64)
	return time.Duration(ms * float64(time.Millisecond))
}

// mask removes every secret from a text that came from librdkafka.
func (c *conf) mask(s string) string { return maskSecrets(s, c.secrets) }

func maskSecrets(s string, secrets []string) string {
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

var secretName = regexp.MustCompile(`password|secret|\.pem$|private|token|sasl\.oauthbearer\.(config|assertion)`)

func isSecret(name string) bool {
	return secretName.MatchString(strings.ToLower(name)) && !strings.HasSuffix(name, ".url") && !strings.HasSuffix(name, ".location")
}

// buildProducer makes the configuration of the producer: our defaults, the server list of the connection
// string, then what the user says, which wins.
// Not strict, an option that librdkafka does not take is a warning.
func buildProducer(servers string, user []property, cfg adapters.Config, log func(adapters.LogEntry)) (*conf, error) {
	c := newConf()
	err := c.fill(servers, user, cfg, log)
	if err != nil {
		c.free()
		return nil, err
	}
	return c, nil
}

func (c *conf) fill(servers string, user []property, cfg adapters.Config, log func(adapters.LogEntry)) error {
	first := slices.Clone(ours)
	if servers != "" {
		first = append(first, property{name: "bootstrap.servers", value: servers})
	}
	if cfg.MaxMessages > 0 {
		first = append(first, property{name: "queue.buffering.max.messages", value: strconv.Itoa(min(cfg.MaxMessages, 10_000_000))})
	}
	if cfg.RetryInterval > 0 {
		longest := max(cfg.MaxRetryInterval, cfg.RetryInterval)
		first = append(first, milliseconds("reconnect.backoff.max.ms", longest), milliseconds("reconnect.backoff.ms", cfg.RetryInterval))
	}
	for _, p := range first {
		if err := c.apply(p, true); err != nil {
			return err
		}
	}
	if err := c.applyUser(user, cfg.Strict, log); err != nil {
		return err
	}
	if p, ok := c.set["transactional.id"]; ok {
		return p.fail("is not supported: messages are sent outside transactions", "remove it; idempotence is on by default")
	}
	if reason := c.idempotenceConflict(); reason != "" {
		if _, asked := c.set["enable.idempotence"]; !asked {
			if err := c.apply(property{name: "enable.idempotence", value: "false"}, true); err != nil {
				return err
			}
			log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: "enable.idempotence is turned off, because " +
				reason + "; messages may be doubled or reordered when the connection fails"})
		}
	}
	if p, ok := c.set["statistics.interval.ms"]; ok && c.get(p.name) == "0" {
		return p.fail("is 0, and the state of the connection is read from the statistics", "remove it, or choose 100 to 5000")
	}
	for _, p := range forced {
		if u, ok := c.set[p.name]; ok && u.value != p.value {
			log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka",
				Text: u.fail("is ignored", "it is always "+p.value+" here").Error()})
		}
		if err := c.apply(p, true); err != nil {
			return err
		}
	}
	if c.get("bootstrap.servers") == "" && c.get("metadata.broker.list") == "" {
		return errors.New("no server is named; set conn-str (" + connStrForm + ") or bootstrap.servers in proto-cfg")
	}
	return c.checkFiles()
}

// milliseconds makes an option of a time, within what librdkafka takes for a reconnect.
func milliseconds(name string, d time.Duration) property {
	return property{name: name, value: strconv.FormatInt(min(max(d.Milliseconds(), 1), 3_600_000), 10)}
}

func (c *conf) applyUser(user []property, strict bool, log func(adapters.LogEntry)) error {
	for _, p := range user {
		if err := c.apply(p, false); err != nil {
			if strict {
				return err
			}
			log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: "ignored: " + err.Error()})
		}
	}
	return nil
}

// checkConsumer applies the consumer's options to a configuration that is thrown away, so that a mistake
// in them shows where the others show.
func checkConsumer(user []property, strict bool, log func(adapters.LogEntry)) error {
	c := newConf()
	defer c.free()
	return c.applyUser(user, strict, log)
}

// idempotenceConflict says which of the user's options an idempotent producer cannot have.
func (c *conf) idempotenceConflict() string {
	is := func(names ...string) (property, bool) {
		for _, n := range names {
			if p, ok := c.set[n]; ok {
				return p, true
			}
		}
		return property{}, false
	}
	if p, ok := is("acks", "request.required.acks"); ok {
		if v := c.get("acks"); v != "-1" && v != "all" {
			return p.name + "=" + p.value + " was asked for and idempotence needs acks=all"
		}
	}
	if p, ok := is("max.in.flight.requests.per.connection", "max.in.flight"); ok {
		if n, _ := strconv.Atoi(c.get("max.in.flight")); n > 5 {
			return p.name + "=" + p.value + " was asked for and idempotence needs at most 5"
		}
	}
	if p, ok := is("retries", "message.send.max.retries"); ok && c.get("retries") == "0" {
		return p.name + "=0 was asked for and idempotence needs retries"
	}
	if p, ok := is("queuing.strategy"); ok && c.get("queuing.strategy") != "fifo" {
		return p.name + "=" + p.value + " was asked for and idempotence needs fifo"
	}
	return ""
}

// checkFiles opens what the user named, for an error that names file and cause. What is neither file nor
// folder is not opened, here or by librdkafka: a FIFO makes whoever opens it wait, a device may have no end.
func (c *conf) checkFiles() error {
	for _, name := range slices.Sorted(maps.Keys(fileOptions)) {
		p, ok := c.set[name]
		if !ok || p.value == "" || p.value == "probe" {
			continue
		}
		if info, err := os.Stat(p.value); err == nil && !info.Mode().IsRegular() && !(info.IsDir() && fileOptions[name]) {
			kind, remedy := "is not a regular file", "name a file"
			if info.IsDir() {
				kind = "is a folder"
			}
			return p.fail("names "+p.value+", which "+kind, remedy)
		}
		f, err := os.Open(p.value)
		if err != nil {
			return p.fail("names a file that cannot be read: "+err.Error(), "check the path and its permissions")
		}
		_ = f.Close()
	}
	return nil
}

// cipherNames turns the IANA names of TLS 1.2's cipher suites (TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384), which
// documentation uses, into those of OpenSSL (ECDHE-RSA-AES256-GCM-SHA384), which librdkafka wants.
func cipherNames(list string) string {
	names := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ", r) })
	for i, n := range names {
		if exchange, cipher, ok := strings.Cut(strings.TrimPrefix(n, "TLS_"), "_WITH_"); ok && strings.HasPrefix(n, "TLS_") {
			cipher = strings.NewReplacer("AES_", "AES", "_CBC_", "-", "_POLY1305_SHA256", "-POLY1305", "_", "-").Replace(cipher)
			names[i] = strings.ReplaceAll(exchange, "_", "-") + "-" + cipher
		}
	}
	return strings.Join(names, ":")
}
