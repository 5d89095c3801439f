// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import "strings"

// topicBytes are what a topic's name may hold.
const topicBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// TopicByte reports whether c may stand in a topic's name.
func (adapter) TopicByte(c byte) bool { return strings.IndexByte(topicBytes, c) >= 0 }

// MaxTopic is Kafka's own limit.
func (adapter) MaxTopic() int { return 249 }

// CheckTopic says what is wrong with a topic's name.
func (adapter) CheckTopic(topic string) error { return checkTopic(topic) }
