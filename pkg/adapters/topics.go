// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import "fmt"

// TopicRules is an Adapter that knows what a topic may look like. Those without take any printable text.
type TopicRules interface {
	// TopicByte reports whether a byte may stand in the part of a topic that comes from data. Separators of
	// levels may not: a value is one level.
	TopicByte(c byte) bool
	MaxTopic() int // the longest topic, in bytes
	// CheckTopic says what is wrong with a topic, or with the fixed text of a template.
	CheckTopic(topic string) error
}

// AnyTopic are the rules of protocols that have none.
type AnyTopic struct{}

// TopicByte takes all but control characters.
func (AnyTopic) TopicByte(c byte) bool { return c >= 0x20 && c != 0x7f }

// MaxTopic is the most that a protocol of ours can carry.
func (AnyTopic) MaxTopic() int { return 65535 }

// CheckTopic refuses control characters.
func (r AnyTopic) CheckTopic(topic string) error {
	for i := range len(topic) {
		if !r.TopicByte(topic[i]) {
			return fmt.Errorf("the topic %q has a control character in it; remove it", topic)
		}
	}
	return nil
}

// RulesOf are the rules of a protocol.
func RulesOf(a Adapter) TopicRules {
	if r, ok := a.(TopicRules); ok {
		return r
	}
	return AnyTopic{}
}
