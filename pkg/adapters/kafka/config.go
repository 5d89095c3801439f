// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// group is the name of the section that DeepStream's adaptors read.
const group = "message-broker"

// keyFiles are the options that name a file with a private key.
var keyFiles = []string{"ssl.key.location", "ssl.keystore.location"}

// warnOfReaders warns of secrets and keys in files that every user can read, once for each file.
func warnOfReaders(path string, props []property, log func(adapters.LogEntry)) {
	told := map[string]bool{}
	for _, p := range props {
		file := ""
		switch {
		case slices.Contains(keyFiles, p.name):
			file = p.value
		case isSecret(p.name) && p.value != "":
			file = path
		}
		if file == "" || told[file] {
			continue
		}
		if warning := settings.OpenToAll(p.name, file); warning != "" {
			told[file] = true
			log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: warning})
		}
	}
}

// minVersionKey is ours: librdkafka has no option for it.
const minVersionKey = "tls-min-version"

// shareKey is a matter of package broker.
const shareKey = "share-connection"

var knownKeys = []string{"proto-cfg", "producer-proto-cfg", "consumer-proto-cfg", "partition-key",
	"consumer-group-id", shareKey, "topic", "sasl-password-file", "ssl-key-password-file",
	"ssl-keystore-password-file", "sasl-oauthbearer-client-secret-file", minVersionKey}

// secretFiles are the keys that name a file with the value of an option: a configuration that has them can
// be shown to anyone.
var secretFiles = map[string]string{"sasl-password-file": "sasl.password", "ssl-key-password-file": "ssl.key.password",
	"ssl-keystore-password-file": "ssl.keystore.password", "sasl-oauthbearer-client-secret-file": "sasl.oauthbearer.client.secret"}

// fileConfig is what the [message-broker] group of a configuration file says.
type fileConfig struct {
	producer     []property // proto-cfg, then producer-proto-cfg
	consumer     []property // consumer-proto-cfg
	receiving    []property // proto-cfg, then consumer-proto-cfg
	group        string     // consumer-group-id
	partitionKey string
	topic        string
	secretFiles  []watchedFile // where passwords stand, as they were before they were read
}

// loadConfig reads the file at path; "" means no file. What is unknown is an error when strict, else a
// warning.
func loadConfig(path string, strict bool, log func(adapters.LogEntry)) (fileConfig, error) {
	var fc fileConfig
	if path == "" {
		return fc, nil
	}
	kf, err := dsconfig.ParseKeyFile(path)
	if err != nil {
		return fc, err
	}
	warn := func(w dsconfig.Warning) error {
		if strict {
			return w.Error()
		}
		log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: w.String()})
		return nil
	}
	for _, w := range kf.Warnings {
		log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: w.String()})
	}
	g := kf.Group(group)
	if g == nil {
		remedy := "write [" + group + "] above the keys"
		if n, ok := nearest.Of(group, kf.GroupNames()); ok {
			remedy = "rename [" + n + "] to [" + group + "]"
		}
		return fc, warn(dsconfig.Warning{File: path, Cause: "there is no [" + group + "] group", Remedy: remedy})
	}
	for _, e := range g.Entries {
		if !slices.Contains(knownKeys, e.Key) {
			if err := warn(unknownKey(e)); err != nil {
				return fc, err
			}
		}
	}
	for _, key := range []string{"proto-cfg", "producer-proto-cfg", "consumer-proto-cfg"} {
		e, ok := g.Get(key)
		if !ok {
			continue
		}
		props, err := parseProtoCfg(path, e)
		if err != nil {
			return fc, err
		}
		if key != "producer-proto-cfg" {
			fc.receiving = append(fc.receiving, props...)
		}
		if key == "consumer-proto-cfg" {
			fc.consumer = props
		} else {
			fc.producer = append(fc.producer, props...)
		}
	}
	warnOfReaders(path, slices.Concat(fc.producer, fc.receiving), log)
	for _, e := range g.Entries {
		option, ok := secretFiles[e.Key]
		if !ok {
			continue
		}
		file, _ := e.Text()
		watched := watchedFile{name: settings.FilePath(file)}
		watched.used = stampOf(watched.name)
		value, warning, err := settings.SecretFile(e)
		if err != nil {
			return fc, err
		}
		if warning != "" {
			log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: warning})
		}
		fc.secretFiles = append(fc.secretFiles, watched)
		p := property{name: option, value: value, where: fmt.Sprintf("%s:%d: [%s] %s", path, e.Line, group, e.Key)}
		fc.producer, fc.receiving = append(fc.producer, p), append(fc.receiving, p)
	}
	if e, ok := g.Get(minVersionKey); ok {
		if err := fc.minVersion(path, e); err != nil {
			return fc, err
		}
	}
	if e, ok := g.Get(shareKey); ok {
		if _, err := e.Bool(); err != nil {
			return fc, err
		}
	}
	if e, ok := g.Get("consumer-group-id"); ok {
		if fc.group, err = e.Text(); err != nil {
			return fc, err
		}
		fc.group = unquote(fc.group)
	}
	if e, ok := g.Get("partition-key"); ok {
		if fc.partitionKey, err = e.Text(); err != nil {
			return fc, err
		}
		fc.partitionKey = unquote(fc.partitionKey)
	}
	if e, ok := g.Get("topic"); ok {
		if fc.topic, err = e.Text(); err != nil {
			return fc, err
		}
		fc.topic = unquote(fc.topic)
		if fc.topic != "" {
			if err := checkTopic(fc.topic); err != nil {
				return fc, e.Errorf("correct the name", "%v", err)
			}
		}
	}
	return fc, nil
}

// only13 are suites of TLS 1.2 that need a key which nobody sets. OpenSSL then offers none of that version, and
// those of TLS 1.3, which are in another list, alone.
const only13 = "PSK-AES256-GCM-SHA384"

// minVersion sees to it that no older version of TLS is spoken. 1.2 is OpenSSL's own least.
func (fc *fileConfig) minVersion(path string, e dsconfig.Entry) error {
	version, err := e.Text()
	if err != nil {
		return err
	}
	switch strings.TrimPrefix(strings.ToLower(unquote(version)), "tlsv") {
	case "1.2":
		return nil
	case "1.3":
	default:
		return e.Errorf("write 1.2 or 1.3", "is no version of TLS that is safe")
	}
	for _, p := range slices.Concat(fc.producer, fc.receiving) {
		if p.name == "ssl.cipher.suites" {
			return e.Errorf("remove one of the two", "ssl.cipher.suites chooses among the suites of TLS 1.2, which is not to be spoken")
		}
	}
	p := property{name: "ssl.cipher.suites", value: only13, where: fmt.Sprintf("%s:%d: [%s] %s", path, e.Line, group, e.Key)}
	fc.producer, fc.receiving = append(fc.producer, p), append(fc.receiving, p)
	return nil
}

// unknownKey words the warning about a key that the group does not have.
func unknownKey(e dsconfig.Entry) dsconfig.Warning {
	if slices.Contains(knownOptions(), e.Key) {
		return e.Warn("this is an option of librdkafka, not a key of the group",
			`write it inside proto-cfg, such as proto-cfg = "`+e.Key+`=…"`)
	}
	if n, ok := nearest.Of(e.Key, knownKeys); ok {
		return e.Warn("unknown key", "did you mean "+n+"?")
	}
	return e.Warn("unknown key", "remove it; known are "+strings.Join(knownKeys, ", "))
}

// parseProtoCfg reads k=v;k=v, with or without quotes around the whole. \; stands for a semicolon inside
// a value, \\ for a backslash, \n for a line break.
func parseProtoCfg(path string, e dsconfig.Entry) ([]property, error) {
	text := strings.TrimSpace(e.Raw)
	if strings.HasPrefix(text, `"`) != strings.HasSuffix(text, `"`) || text == `"` {
		return nil, e.Errorf(`write `+e.Key+` = "option=value;option=value"`, "a quotation mark is missing")
	}
	text = unquote(text)
	where := fmt.Sprintf("%s:%d: [%s] %s", path, e.Line, group, e.Key)
	var props []property
	secret := "" // the secret option whose value a name that is none may be a part of
	for i, item := range splitItems(text) {
		if strings.TrimSpace(item) == "" {
			continue
		}
		name, value, found := strings.Cut(item, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" {
			// The text is not shown: it may be the rest of a password that holds a semicolon.
			return nil, e.Errorf(`write option=value; a semicolon inside a value is written \;`, "item %d has no option=value", i+1)
		}
		p := property{name: name, value: strings.TrimSpace(value), where: where}
		known := slices.Contains(knownOptions(), name)
		switch {
		case secret != "" && !known:
			p.hidden, p.secret = i+1, secret
		case isSecret(name):
			secret = name
		case known:
			secret = ""
		}
		props = append(props, p)
	}
	return props, nil
}

// splitItems splits at semicolons and resolves the escapes.
func splitItems(s string) []string {
	var items []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`;\n`, s[i+1]) >= 0:
			i++
			if s[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(s[i])
			}
		case s[i] == ';':
			items = append(items, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(items, b.String())
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
