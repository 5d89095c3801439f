// SPDX-License-Identifier: LGPL-2.1-or-later

// Package protocols registers every protocol that this project speaks: whoever imports it can name each of
// them in proto-lib.
package protocols

import (
	// Each registers itself.
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/amqp"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/azure"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/file"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/kafka"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/nats"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/nvds"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/redis"
)
