// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !dynamic

package kafka

// In a plain Go program librdkafka comes out of the static archive that this module carries; importing
// it puts the archive on the linker's command line.
import _ "github.com/confluentinc/confluent-kafka-go/v2/kafka"
