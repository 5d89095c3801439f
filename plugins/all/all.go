// SPDX-License-Identifier: LGPL-2.1-or-later

// Package all links every element into a Go program.
//
// A Go program must not load the plugin files: their core is a Go runtime of
// its own, and two of them in one process disturb each other's garbage
// collection (a pause of 8 ms became 981 ms). It calls Register instead, once,
// before it makes pipelines:
//
//	if err := all.Register(); err != nil { … }
package all

import (
	"sync"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/version"
	"github.com/gst-edgewire/gst-edgewire/plugins/msgbroker"
	"github.com/gst-edgewire/gst-edgewire/plugins/msgconv"
)

// Plugin is one plugin: a file of its own in an installation.
type Plugin struct {
	Name, Description string
	register          func(gst.Plugin) error
}

// Plugins lists the plugins.
var Plugins = []Plugin{
	{"msgconv", "Turns detections into messages", msgconv.Register},
	{"msgbroker", "Publishes messages to a broker", msgbroker.Register},
}

// Facts about every plugin, as GST_PLUGIN_DEFINE has them.
const (
	License = "LGPL"
	Package = "gst-edgewire"
	Origin  = "https://github.com/gst-edgewire/gst-edgewire"
)

// RegisterInto registers the elements of the plugin called name into a
// GstPlugin that is being loaded. It reports false for a name that is unknown.
func RegisterInto(p gst.Plugin, name string) (known bool, err error) {
	for i := range Plugins {
		if Plugins[i].Name == name {
			return true, Plugins[i].register(p)
		}
	}
	return false, nil
}

var once = sync.OnceValue(func() error {
	for _, p := range Plugins {
		err := gst.RegisterStatic(&gst.StaticPlugin{
			Name: p.Name, Description: p.Description, Version: version.String(), License: License,
			Source: Package, Package: Package, Origin: Origin, Init: p.register,
		})
		if err != nil {
			return err
		}
	}
	return nil
})

// Register registers every element with GStreamer, which it initialises if the
// program has not. Further calls do nothing.
func Register() error { return once() }
