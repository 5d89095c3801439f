// SPDX-License-Identifier: LGPL-2.1-or-later

package c2d

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func published(t *testing.T, name string) func(text string) error {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../docs/schemas/" + name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) error {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return s.Validate(v)
	}
}

// TestCommandSchema: the published schema and ParseCommand agree.
func TestCommandSchema(t *testing.T) {
	valid := published(t, "command")
	long := strings.Repeat("x", 250)
	for text, want := range map[string]bool{
		`{"command":"restart"}`: true,
		`{"command":"start-recording","start":"2020-05-18T20:02:00.051Z","end":"2020-05-18T20:03:00-01:00","sensor":{"id":"cam-1"}}`: true,
		`{"start":"2020-05-18T20:02:00Z","sensor":"cam-1"}`:                                                                          true,
		`{"command":"stop-recording","sensor":{"id":"cam-1"},"session":4294967295}`:                                                  true,
		`{"command":"set-property","arguments":{"element":"e","property":"p","value":3},"reply-to":"replies","id":"42"}`:             true,
		`{"command":"x","id":42,"other":[1]}`:                                                                                        true,
		`{}`:                                                                                                                         false,
		`[]`:                                                                                                                         false,
		`{"command":""}`:                                                                                                             false,
		`{"command":7}`:                                                                                                              false,
		`{"command":"` + long + `"}`:                                                                                                 false,
		`{"command":"start-recording","sensor":"cam-1"}`:                                                                             false,
		`{"command":"start-recording","start":"2020-05-18T20:02:00Z"}`:                                                               false,
		`{"start":"2020-05-18T20:02:00","sensor":"cam-1"}`:                                                                           false,
		`{"command":"stop-recording"}`:                                                                                               false,
		`{"command":"stop-recording","sensor":"a","session":-1}`:                                                                     false,
		`{"command":"stop-recording","sensor":"a","session":1.5}`:                                                                    false,
		`{"command":"x","arguments":[1]}`:                                                                                            false,
		`{"command":"x","reply-to":"a b"}`:                                                                                           false,
		`{"command":"x","id":true}`:                                                                                                  false,
		`{"command":"x","status":"ok","time":"2020-05-18T20:02:00Z"}`:                                                                false,
	} {
		_, err := ParseCommand([]byte(text))
		if schema := valid(text); (err == nil) != want || (schema == nil) != want {
			t.Errorf("%.80s: parsed %v, schema %v, want %v", text, err, schema, want)
		}
	}
}

// TestReplySchema: what is answered is what the published schema says.
func TestReplySchema(t *testing.T) {
	valid := published(t, "reply")
	c, err := ParseCommand([]byte(`{"command":"stop-recording","sensor":"a","session":7,"id":"é","reply-to":"r"}`))
	if err != nil {
		t.Fatal(err)
	}
	started := c.Reply(Started, "")
	started.Session = 3
	broken, _ := ParseCommand([]byte(`{`))
	for _, r := range []Reply{started, c.Reply(Done, ""), c.Reply(Failed, "why"), broken.Reply(Refused, "no JSON")} {
		if err := valid(string(r.JSON())); err != nil {
			t.Errorf("%s: %v", r.JSON(), err)
		}
	}
	for _, text := range []string{`{}`, `{"status":"done","time":"2020-05-18T20:02:00Z"}`, `{"status":"ok"}`, `{"status":"ok","time":"2020-05-18T20:02:00Z","extra":1}`} {
		if valid(text) == nil {
			t.Errorf("valid: %s", text)
		}
	}
}

// TestPage: the commands of the page are commands, by the parser and by the schema.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/cloud-to-device.md")
	if err != nil {
		t.Fatal(err)
	}
	valid := published(t, "command")
	names := ""
	for _, text := range regexp.MustCompile(`\{"command": .*\}`).FindAllString(string(page), -1) {
		if strings.Contains(text, `"status"`) {
			continue // a reply
		}
		c, err := ParseCommand([]byte(text))
		if err != nil || valid(text) != nil || len(c.Ignored) > 0 || c.ReplyTo == "" || c.ID == "" {
			t.Errorf("%s: %+v, %v, schema %v", text, c, err, valid(text))
		}
		names += c.Name + " "
	}
	if names != "start-recording update-config update-model send-logs " {
		t.Errorf("the commands are %s", names)
	}
}
