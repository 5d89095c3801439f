// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !dynamic

package kafka

// #cgo LDFLAGS: -Wl,--wrap=poll
// #include "calm.h"
import "C"

// In a plain Go program librdkafka comes out of the static archive that this module carries; importing
// it puts the archive on the linker's command line.
import _ "github.com/confluentinc/confluent-kafka-go/v2/kafka"

// polls is how often librdkafka's threads of brokers have called poll, in this process: see calm.c.
func polls() uint64 { return uint64(C.ew_calm_calls()) }
