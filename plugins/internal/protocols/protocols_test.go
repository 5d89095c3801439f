// SPDX-License-Identifier: LGPL-2.1-or-later

package protocols

import (
	"slices"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// TestTopicRules: what data may put into a topic cannot make another level of it, nor a wildcard.
func TestTopicRules(t *testing.T) {
	never := map[string]string{"mqtt": "/+#\x00", "nats": ".*> \n", "amqp": ".*#\n", "kafka": "/ #\x00"}
	names := adapters.Names()
	for _, n := range []string{"amqp", "azure", "azure_edge", "file", "kafka", "mqtt", "nats", "redis"} {
		if !slices.Contains(names, n) {
			t.Errorf("%s is not registered", n)
		}
	}
	for _, n := range names {
		a, _ := adapters.Lookup(n)
		r := adapters.RulesOf(a)
		for i := range len(never[n]) {
			if r.TopicByte(never[n][i]) {
				t.Errorf("%s takes %q", n, never[n][i])
			}
		}
		if !r.TopicByte('a') || !r.TopicByte('0') || r.TopicByte(0) || r.MaxTopic() < 200 {
			t.Errorf("%s: %d", n, r.MaxTopic())
		}
		if err := r.CheckTopic("cameras"); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		if n == "mqtt" || n == "nats" {
			if err := r.CheckTopic("a" + strings.Repeat("#*", 1)); err == nil {
				t.Errorf("%s takes a wildcard", n)
			}
		}
	}
}
