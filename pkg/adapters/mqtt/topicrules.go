// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt/engine"
)

// notInTopic are the characters that may not come from data: the separator of levels and the wildcards (MQTT 5.0, section 4.7).
const notInTopic = "/+#"

// TopicByte reports whether c may stand in a part of a topic that comes from data.
func (adapter) TopicByte(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(notInTopic, c) < 0
}

// MaxTopic is the longest string of MQTT.
func (adapter) MaxTopic() int { return 65535 }

// CheckTopic says what is wrong with a topic.
func (adapter) CheckTopic(topic string) error { return engine.CheckTopic(topic) }
