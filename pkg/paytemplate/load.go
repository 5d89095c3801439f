// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
	"unicode/utf8"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// Bounds on a template and what it makes.
const (
	maxFile   = 256 << 10 // bytes of a template
	maxErrors = 100
	MaxSize   = 1 << 20 // bytes of a message
	maxSteps  = 1 << 20 // turns of loops and calls of functions in a message
	maxDepth  = 64      // of JSON

	maxFrameSteps = 4 * maxSteps // with a message for each object: in all of them together
)

// A Template is a program. It may be used by several Encoders at once.
type Template struct {
	perObject   bool
	contentType string
	json        bool
	body        []op
	slots       int
}

// PerObject reports whether there is a message for each object, and not for each frame.
func (t *Template) PerObject() bool { return t.perObject }

// ContentType is that of the messages, application/json if the template declares no other.
func (t *Template) ContentType() string { return t.contentType }

// Load reads a template. The error is of type Errors, with all the mistakes in it.
func Load(path string) (*Template, error) {
	data, err := dsconfig.ReadFile(path)
	if err != nil {
		e := &Error{File: path, Cause: err.Error(), Err: err}
		var de *dsconfig.Error
		if errors.As(err, &de) {
			const is, here = "configuration file", "template"
			e.Cause, e.Remedy = strings.ReplaceAll(de.Cause, is, here), strings.ReplaceAll(de.Remedy, is, here)
		}
		return nil, Errors{e}
	}
	return Parse(path, data)
}

// Peek is the content type that a template declares, without looking at the rest; that of JSON if it cannot be read.
func Peek(path string) string {
	if data, err := dsconfig.ReadFile(path); err == nil {
		c := &compiler{file: path, src: data, t: &Template{contentType: payload.ContentTypeJSON}}
		if c.header(); len(c.errs) == 0 {
			return c.t.contentType
		}
	}
	return payload.ContentTypeJSON
}

// Is reports whether a file is a template of messages: by its header.
func Is(data []byte) bool { return headerText.Match(data) }

// headerText is the comment at the beginning.
var headerText = regexp.MustCompile(`^(?:\x{FEFF})?\s*\{\{(?:- )?/\*\s*msgconv:((?s).*?)\*/(?: -)?\}\}[ \t\r]*\n?`)

// lateHeader is one where it would go unnoticed.
var lateHeader = regexp.MustCompile(`\{\{(?:- )?/\*\s*msgconv:`)

// Parse makes a template of a text. The error is of type Errors.
func Parse(name string, data []byte) (*Template, error) {
	c := &compiler{file: name, src: data, t: &Template{contentType: payload.ContentTypeJSON}}
	c.parse()
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	return c.t, nil
}

// A compiler makes a program of a text. Mistakes are collected.
type compiler struct {
	file  string
	src   []byte
	from  int // where the text behind the header begins
	t     *Template
	errs  Errors
	root  *node
	js    *structure // of the output; nil if it is no JSON
	ops   []op       // of the current list
	lit   []byte     // text that is to become an op
	scope []variable
	lost  bool // a mistake in the structure was told
}

// A variable is a name in a template: a value, or an element of a list.
type variable struct {
	name string
	ref  ref
}

func (c *compiler) fail(pos int, remedy, format string, args ...any) {
	if len(c.errs) >= maxErrors {
		return
	}
	pos = min(max(pos, 0), len(c.src))
	before := c.src[:pos]
	e := &Error{File: c.file, Line: 1 + bytes.Count(before, []byte("\n")), Cause: fmt.Sprintf(format, args...), Remedy: remedy}
	e.Column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	for _, other := range c.errs {
		if other.Line == e.Line && other.Column == e.Column {
			return // it follows
		}
	}
	c.errs = append(c.errs, e)
}

// whole reports a mistake of the whole file.
func (c *compiler) whole(remedy, format string, args ...any) {
	c.errs = append(c.errs, &Error{File: c.file, Cause: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (c *compiler) parse() {
	if len(c.src) > maxFile {
		c.whole("write a shorter one", "a template may have %d KiB", maxFile>>10)
		return
	}
	for at := 0; at < len(c.src); {
		r, n := utf8.DecodeRune(c.src[at:])
		if r == utf8.RuneError && n == 1 {
			c.fail(at, "save the file as UTF-8", "this is not UTF-8")
			return
		}
		if r == 0 {
			c.fail(at, "give the path of a template", "this is no text file: it holds a NUL byte")
			return
		}
		at += n
	}
	c.header()
	if len(c.errs) > 0 {
		return
	}
	tree := parse.New("template")
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	if at := lateHeader.FindIndex(c.src[c.from:]); at != nil {
		c.fail(c.from+at[0], "put it there, or leave out the word msgconv: of this comment", "a header stands at the beginning of the file alone")
		return
	}
	body := strings.TrimSuffix(strings.TrimSuffix(string(c.src[c.from:]), "\n"), "\r")
	if _, err := tree.Parse(body, "", "", set); err != nil {
		c.syntax(err)
		return
	}
	if len(set) > 1 {
		c.whole("write it where it is used", "{{define}} and {{block}} are not for messages")
		return
	}
	c.root = rootOf(c.t.perObject)
	if c.t.json {
		c.js = &structure{}
	}
	dot := ref{node: c.root}
	c.t.slots = 1
	c.scope = []variable{{name: "$", ref: dot}}
	if tree.Root == nil || len(bytes.TrimSpace([]byte(body))) == 0 {
		c.whole("write what a message is to be", "the template is empty")
		return
	}
	c.t.body = c.list(tree.Root, dot, 1)
	if c.js != nil {
		c.js.end(c)
	}
}

// syntax tells where text/template's parser has stopped: it gives the line alone.
var syntaxError = regexp.MustCompile(`(?s)^template: template:(\d+): (.*)$`)

func (c *compiler) syntax(err error) {
	m := syntaxError.FindStringSubmatch(err.Error())
	if m == nil {
		c.whole("", "%v", err)
		return
	}
	line, _ := strconv.Atoi(m[1])
	remedy := ""
	if strings.Contains(m[2], `unexpected "{"`) {
		remedy = "put a blank between the { of the JSON and the {{ behind it"
	}
	c.errs = append(c.errs, &Error{File: c.file, Line: line + bytes.Count(c.src[:c.from], []byte("\n")), Cause: m[2], Remedy: remedy})
}

// mediaType is one that GStreamer takes for the name of caps.
var mediaType = regexp.MustCompile(`^[a-z][a-z0-9.+-]*/[a-z0-9.+-]+$`)

// headerKeys are what {{/* msgconv: … */}} may say.
var headerKeys = []string{"per", "content-type"}

func (c *compiler) header() {
	at := headerText.FindSubmatchIndex(c.src)
	if at == nil && bytes.HasPrefix(c.src, []byte("\uFEFF")) {
		c.from = len("\uFEFF")
	}
	if at != nil {
		c.from = at[1]
		said := map[string]bool{}
		for _, word := range words(c.src, at[2], at[3]) {
			key, val, ok := strings.Cut(word.text, "=")
			if said[key] && slices.Contains(headerKeys, key) {
				c.fail(word.at, "leave one of them out", "the header says %s twice", key)
			}
			said[key] = true
			switch {
			case ok && key == "per" && (val == "frame" || val == "object"):
				c.t.perObject = val == "object"
			case ok && key == "per":
				c.fail(word.at, "write per=frame or per=object", "there is no message per %q", val)
			case ok && key == "content-type":
				kind, _, err := mime.ParseMediaType(val)
				if err != nil || !mediaType.MatchString(kind) {
					c.fail(word.at, "write for example content-type=text/csv", "%q is no content type", val)
				}
				c.t.contentType = val
			default:
				remedy := "known are " + strings.Join(headerKeys, ", ") + ", written as in per=object"
				if n, ok := nearest.Of(key, headerKeys); ok {
					remedy = "did you mean " + n + "=?"
				}
				c.fail(word.at, remedy, "the header says %q", word.text)
			}
		}
	}
	kind, _, _ := mime.ParseMediaType(c.t.contentType)
	c.t.json = kind == payload.ContentTypeJSON || strings.HasSuffix(kind, "+json")
}

type word struct {
	text string
	at   int
}

func words(src []byte, from, to int) (out []word) {
	for at := from; at < to; {
		if bytes.IndexByte([]byte(" \t\r\n"), src[at]) >= 0 {
			at++
			continue
		}
		end := at
		for end < to && bytes.IndexByte([]byte(" \t\r\n"), src[end]) < 0 {
			end++
		}
		out = append(out, word{string(src[at:end]), at})
		at = end
	}
	return out
}
