// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build dynamic

package kafka

// The shared core links the private librdkafka that scripts/build-rdkafka makes.

// #cgo pkg-config: rdkafka
import "C"
