// SPDX-License-Identifier: LGPL-2.1-or-later

package file

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// Keys are those of the group [message-broker].
var Keys = []settings.Key{
	{Name: "path", Doc: "the path, when conn-str is empty"},
	{Name: "topic", Doc: "topic of messages that have none (default messages)"},
	{Name: "format", Doc: "payload (default), envelope or framed"},
	{Name: "sync", Doc: "when what was written is forced to the medium: none (default), interval (every 200 ms) or batch (before a message counts as acknowledged)"},
	{Name: "rotate-size", Doc: "bytes after which a new file is begun (default 0: never)"},
	{Name: "rotate-age", Doc: "seconds after which a new file is begun (default 0: never)"},
	{Name: "rotate-count", Doc: "how many old files are kept (default 0: all)"},
	{Name: "rotate-gzip", Doc: "compress old files (default false)"},
}

const (
	defaultTopic = "messages"
	stdout       = "-"
	topicField   = "{topic}"
	pathForm     = `write the path of a file, such as /var/tmp/messages.ndjson or /var/tmp/{topic}.ndjson, or - for standard output`
)

// The formats.
const (
	formatPayload  = "payload"
	formatEnvelope = "envelope"
	formatFramed   = "framed"
)

// The policies of sync.
const (
	syncNone     = "none"
	syncInterval = "interval"
	syncBatch    = "batch"
)

// A set is what the user has said.
type set struct {
	path   string // absolute, or stdout; may hold topicField
	base   string // the folder above the first component with a topicField, which must exist
	topic  string
	format string
	sync   string

	size  int64
	age   time.Duration
	count int
	gzip  bool
}

func (s *set) rotates() bool { return s.path != stdout && (s.size > 0 || s.age > 0) }

// hostPort is what other protocols' connection strings look like.
var hostPort = regexp.MustCompile(`^[^/;]+;[0-9]+(;[^/]*)?$`)

func load(cfg adapters.Config, log func(adapters.LogEntry)) (*set, error) {
	g, err := settings.Load(cfg.ConfigPath, Keys, cfg.Strict, log)
	if err != nil {
		return nil, err
	}
	s := &set{}
	where, path := "conn-str", strings.TrimSpace(cfg.ConnStr)
	if path == "" {
		if path, err = g.Text("path", ""); err != nil {
			return nil, err
		}
		where = "path"
		if path == "" {
			return nil, fmt.Errorf("neither conn-str nor path in the configuration file names a file; %s", pathForm)
		}
	}
	if err := s.setPath(path); err != nil {
		return nil, fmt.Errorf("%s %q: %w; %s", where, path, err, pathForm)
	}
	if s.topic, err = g.Text("topic", defaultTopic); err != nil {
		return nil, err
	}
	if s.format, err = g.Choice("format", formatPayload, formatEnvelope, formatFramed); err != nil {
		return nil, err
	}
	if s.sync, err = g.Choice("sync", syncNone, syncInterval, syncBatch); err != nil {
		return nil, err
	}
	if s.size, err = g.Int("rotate-size", 0, 0, 1<<50); err != nil {
		return nil, err
	}
	if s.age, err = g.Duration("rotate-age", time.Second, 0, 0, 10*365*24*time.Hour); err != nil {
		return nil, err
	}
	count, err := g.Int("rotate-count", 0, 0, 1_000_000)
	if err != nil {
		return nil, err
	}
	s.count = int(count)
	if s.gzip, err = g.Bool("rotate-gzip", false); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *set) setPath(path string) error {
	if path == stdout {
		s.path = stdout
		return nil
	}
	switch {
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("a path holds no NUL")
	case strings.HasSuffix(path, "/"):
		return fmt.Errorf("this is a folder")
	case hostPort.MatchString(path):
		return fmt.Errorf("this looks like the address of a server")
	}
	if rest := strings.ReplaceAll(path, topicField, ""); strings.ContainsAny(rest, "{}") {
		return fmt.Errorf("the only field is %s", topicField)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	s.path = abs
	fixed, _, _ := strings.Cut(abs, topicField)
	s.base = fixed[:strings.LastIndexByte(fixed, '/')]
	if s.base == "" {
		s.base = "/"
	}
	return nil
}

// maxName is the longest name of a file on the usual file systems, with room for what rotation adds.
const maxName = 255 - 40

// pathOf is where the messages of a topic go.
func (s *set) pathOf(topic string) (string, error) {
	if !strings.Contains(s.path, topicField) {
		return s.path, nil
	}
	name := fileName(topic)
	path := strings.ReplaceAll(s.path, topicField, name)
	for part := range strings.SplitSeq(path, "/") {
		if len(part) > maxName {
			return "", fmt.Errorf("it makes a file name of %d bytes, and %d are possible", len(part), maxName)
		}
	}
	return path, nil
}

// fileName writes a topic as one component of a path: letters, digits, '.', '_' and '-' stay, a '.' at the
// beginning and every other byte become %XX. Different topics have different names.
func fileName(topic string) string {
	var b strings.Builder
	for i := range len(topic) {
		c := topic[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() == 0 {
		return "%"
	}
	return b.String()
}
