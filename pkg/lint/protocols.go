// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"path/filepath"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	// The protocols, each of which registers itself.
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/amqp"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/azure"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/file"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/kafka"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/nats"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/redis"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// examples are connection strings that stand in where a file is looked at without the one that belongs to it.
var examples = map[string]string{
	"amqp": "localhost;5672", "file": "messages.ndjson", "kafka": "localhost;9092", "mqtt": "localhost;1883",
	"nats": "localhost;4222", "redis": "localhost;6379",
	"azure":      "HostName=example.azure-devices.net;DeviceId=device;SharedAccessKey=AAAA",
	"azure_edge": "HostName=example.azure-devices.net;DeviceId=device;ModuleId=module;SharedAccessKey=AAAA",
}

func describer(protocol string) settings.Describer {
	a, _ := adapters.Lookup(protocol)
	d, _ := a.(settings.Describer)
	return d
}

// guess finds the protocol of a [message-broker] group by its keys, and among equals by the name of the file.
// It returns "" when the file does not tell.
func guess(path string, g *dsconfig.Group) string {
	file := strings.ToLower(filepath.Base(path))
	best, bestScore, twice := "", 0, false
	for _, name := range adapters.Names() {
		d := describer(name)
		if d == nil {
			continue
		}
		score := 0
		for _, known := range settings.Names(d.Keys()) {
			if _, ok := g.Get(known); ok {
				score += 2
			}
		}
		if strings.Contains(file, name) {
			score++
			if best != "" && strings.HasPrefix(name, best) {
				score++ // azure_edge is more than azure
			}
		}
		if score > bestScore {
			best, bestScore, twice = name, score, false
		} else if score == bestScore {
			twice = true
		}
	}
	if twice && best == "azure" {
		return best // azure_edge has the same keys
	}
	if twice || bestScore == 0 {
		return ""
	}
	return best
}
