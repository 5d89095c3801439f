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
	"github.com/gst-edgewire/gst-edgewire/plugins/dtlsdec"
	"github.com/gst-edgewire/gst-edgewire/plugins/dtlsenc"
	"github.com/gst-edgewire/gst-edgewire/plugins/dtlssrtpdec"
	"github.com/gst-edgewire/gst-edgewire/plugins/dtlssrtpdemux"
	"github.com/gst-edgewire/gst-edgewire/plugins/dtlssrtpenc"
	"github.com/gst-edgewire/gst-edgewire/plugins/msgbroker"
	"github.com/gst-edgewire/gst-edgewire/plugins/msgconv"
	"github.com/gst-edgewire/gst-edgewire/plugins/msgsrc"
	"github.com/gst-edgewire/gst-edgewire/plugins/smartrecordbin"
)

// Plugin is one plugin: a file of its own in an installation.
type Plugin struct {
	Name, Description string
	register          func(gst.Plugin) error
}

// Plugins lists the plugins that add elements.
var Plugins = []Plugin{
	{"msgconv", "Turns detections into messages", msgconv.Register},
	{"msgbroker", "Publishes messages to a broker", msgbroker.Register},
	{"msgsrc", "Makes a stream of a broker's messages", msgsrc.Register},
	{"smartrecordbin", "Records encoded video around events", smartrecordbin.Register},
}

// DeepStream lists the plugins that register msgconv and msgbroker as nvmsgconv
// and nvmsgbroker. They are the user's choice: Register leaves them out.
var DeepStream = []Plugin{
	{"nvdsgst_msgconv", "Turns DeepStream's metadata into messages", msgconv.RegisterDeepStream},
	{"nvdsgst_msgbroker", "Publishes DeepStream's messages to a broker", msgbroker.RegisterDeepStream},
}

// Replacements lists the plugins whose elements take the place of another
// project's. They are the user's choice: Register leaves them out.
var Replacements = []Plugin{
	{"dtls", "DTLS decoder and encoder plugins", func(p gst.Plugin) error {
		for _, register := range []func(gst.Plugin) error{
			dtlsenc.Register, dtlsdec.Register, dtlssrtpdec.Register, dtlssrtpenc.Register, dtlssrtpdemux.Register,
		} {
			if err := register(p); err != nil {
				return err
			}
		}
		return nil
	}},
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
	for _, plugins := range [][]Plugin{Plugins, DeepStream, Replacements} {
		for _, plugin := range plugins {
			if plugin.Name == name {
				return true, plugin.register(p)
			}
		}
	}
	return false, nil
}

func registerStatic(plugins []Plugin) error {
	for _, p := range plugins {
		err := gst.RegisterStatic(&gst.StaticPlugin{
			Name: p.Name, Description: p.Description, Version: version.String(), License: License,
			Source: Package, Package: Package, Origin: Origin, Init: p.register,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	once           = sync.OnceValue(func() error { return registerStatic(Plugins) })
	onceDTLS       = sync.OnceValue(func() error { return registerStatic(Replacements) })
	onceDeepStream = sync.OnceValue(func() error { return registerStatic(DeepStream) })
)

// Register registers every element with GStreamer, which it initialises if the
// program has not. Further calls do nothing.
func Register() error { return once() }

// RegisterDTLS puts dtlsenc, dtlsdec, dtlssrtpenc, dtlssrtpdec and dtlssrtpdemux
// in the place of GStreamer's own in this program, under webrtcbin too. Call it
// before the first pipeline is made.
func RegisterDTLS() error { return onceDTLS() }

// RegisterDeepStream registers msgconv and msgbroker as nvmsgconv and
// nvmsgbroker, too.
func RegisterDeepStream() error { return onceDeepStream() }
