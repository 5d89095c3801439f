// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import "strings"

// notInTopic are the characters that may not come from data: the separator of words and the wildcards.
const notInTopic = ".*>"

// TopicByte reports whether c may stand in a part of a topic that comes from data.
func (adapter) TopicByte(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(notInTopic, c) < 0
}

// MaxTopic is what the adapter takes.
func (adapter) MaxTopic() int { return 1000 }

// CheckTopic says what is wrong with a subject.
func (adapter) CheckTopic(topic string) error { return checkSubject(topic, false) }
