// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"fmt"
	"strings"
)

// notInTopic are the characters that may not come from data: the separator of words and the wildcards of topic exchanges.
const notInTopic = ".*#"

// TopicByte reports whether c may stand in a part of a topic that comes from data.
func (adapter) TopicByte(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(notInTopic, c) < 0
}

// MaxTopic is the longest routing key (AMQP 0-9-1, a short string).
func (adapter) MaxTopic() int { return 255 }

// CheckTopic looks at the fixed text of a template, which may be a part of a topic.
func (adapter) CheckTopic(topic string) error {
	if i := strings.IndexAny(topic, "*#"); i >= 0 {
		return fmt.Errorf("the topic %q has %q in it, which is for subscribing alone; remove it", topic, topic[i:i+1])
	}
	if strings.ContainsFunc(topic, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("the topic %q has a blank or a control character in it; remove it", topic)
	}
	return nil
}
