// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// Start checks the properties and reads the configuration, READY to PAUSED.
func (c *converter) Start() bool {
	c.mu.Lock()
	c.cur = c.set
	c.wanted = nil
	c.changed.Store(false)
	c.mu.Unlock()
	c.count = -*c.skipped // nothing flows yet
	c.SetSkips(!c.cur.newAPI && !c.cur.dummy)
	fail := func(code gst.ErrorCode, format string, args ...any) bool {
		c.Error(code, "msgconv: "+fmt.Sprintf(format, args...), "")
		return false
	}
	if code, mistake := c.checkSchema(); mistake != "" {
		return fail(code, "%s", mistake)
	}
	var err error
	if c.labels, err = parseLabelMap(c.cur.labelMap); err != nil {
		return fail(gst.ResourceSettings, "%v", err)
	}
	if c.debug, err = newDebugWriter(c.cur.debugDir); err != nil {
		code := gst.ResourceWrite
		if os.IsNotExist(err) {
			code = gst.ResourceNotFound
		}
		return fail(code, "debug-payload-dir: %v. Name a directory that exists and may be written to, or leave the property out.", err)
	}
	options := payload.Options{Type: payload.Type(c.cur.payloadType), Indent: int(c.cur.jsonIndent), API: payload.APIEvent}
	if c.cur.newAPI {
		options.API = payload.APIFrame
	}
	c.selection = payload.Selection{Type: options.Type, API: options.API, ComponentID: c.cur.compID,
		FrameInterval: c.cur.frameInterval, Dummy: c.cur.dummy}
	if path := strings.TrimSpace(c.cur.config); path != "" && !c.cur.usesLibrary() { // whose business it is then
		static, warnings, err := dsconfig.Load(path)
		if err != nil {
			code := gst.ResourceSettings
			if errors.Is(err, fs.ErrNotExist) {
				code = gst.ResourceNotFound
			}
			return fail(code, "config: %v", err)
		}
		for _, w := range warnings {
			c.Warning(gst.ResourceSettings, "msgconv: config: "+w.String(), "")
		}
		options.Static = static
	}
	options.Embeddings = payload.ParseEmbeddingFilter(cmp.Or(c.cur.embeddingFilter, payload.DefaultEmbeddingFilter))
	options.Views = viewsWanted()
	if code, err := c.newEncoder(options); err != nil {
		return fail(code, "%v", err)
	}
	c.roi.analytics.outlines = !c.cur.newAPI && !c.cur.usesLibrary() && c.cur.template == ""
	c.failures.told, c.failures.untold = time.Time{}, 0
	c.lidar.start(options.Static)
	c.warnType()
	return true
}

// checkSchema checks the properties that say what a message is, against each other.
func (c *converter) checkSchema() (code gst.ErrorCode, mistake string) {
	s := &c.cur
	if s.template != "" && s.msg2pLib != "" {
		return gst.ResourceSettings, fmt.Sprintf("payload-template=%q and msg2p-lib=%q both make the messages. Set one of them.", s.template, s.msg2pLib)
	}
	if s.template != "" && s.payloadType != typeDeepstream && s.payloadType != typeCustom {
		return gst.ResourceSettings, fmt.Sprintf("payload-template makes messages of a schema of its own, and payload-type=%d asks for another. Leave payload-type out.", s.payloadType)
	}
	return code, ""
}

// newEncoder makes the encoder of the messages. The code is for an error.
func (c *converter) newEncoder(o payload.Options) (code gst.ErrorCode, err error) {
	switch {
	case c.cur.usesLibrary():
		if c.encoder, code, err = c.newLibrary(o); err != nil {
			return code, fmt.Errorf("msg2p-lib: %w", err)
		}
	case c.cur.template != "":
		if c.encoder, code, err = c.newTemplate(o); err != nil {
			return code, fmt.Errorf("payload-template: %w", err)
		}
	default:
		if c.encoder, err = payload.New(o); err != nil {
			return gst.LibrarySettings, err
		}
	}
	return code, nil
}

// Stop frees what Start made.
func (c *converter) Stop() bool {
	c.dropPending()
	if l, ok := c.encoder.(interface{ Close() }); ok {
		l.Close()
	}
	c.encoder, c.debug = nil, nil
	c.roi.free()
	c.nvds.stop()
	c.lidar.stop()
	c.SetGenerate(false)
	return true
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

// debugWriter writes a file per frame with all its payloads, each followed by
// a blank and a newline, as the reference does. Unlike there, frames of the
// same millisecond get files of their own.
type debugWriter struct {
	dir   string
	buf   []byte
	files []debugFile // that are to be written from buf
}

type debugFile struct {
	t   time.Time
	end int
}

func newDebugWriter(dir string) (*debugWriter, error) {
	if dir == "" {
		return nil, nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	probe, err := os.CreateTemp(dir, ".msgconv-*")
	if err != nil {
		return nil, err
	}
	probe.Close()
	return &debugWriter{dir: dir}, os.Remove(probe.Name())
}

func (d *debugWriter) add(data []byte) {
	d.buf = append(append(d.buf, data...), " \n"...)
}

// done ends a frame's file.
func (d *debugWriter) done(t time.Time) {
	if end := len(d.buf); end > d.whole() {
		d.files = append(d.files, debugFile{t, end})
	}
}

// whole is how much of buf is of files that have ended.
func (d *debugWriter) whole() int {
	if len(d.files) == 0 {
		return 0
	}
	return d.files[len(d.files)-1].end
}

// flush writes the files that have ended. What is left over is of a frame that was given up.
func (d *debugWriter) flush() (err error) {
	start := 0
	for _, f := range d.files {
		if err = d.write(f.t, d.buf[start:f.end]); err != nil {
			break
		}
		start = f.end
	}
	d.buf, d.files = d.buf[:0], d.files[:0]
	return err
}

func (d *debugWriter) write(t time.Time, data []byte) error {
	base := filepath.Join(d.dir, t.UTC().Format("2006-01-02T15:04:05.000Z"))
	for n := 0; ; n++ {
		name := base + ".txt"
		if n > 0 {
			name = base + "-" + strconv.Itoa(n) + ".txt"
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err = f.Write(data); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	}
}
