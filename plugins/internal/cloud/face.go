// SPDX-License-Identifier: LGPL-2.1-or-later

package cloud

import "github.com/gst-edgewire/gst-edgewire/internal/gst"

// Signals are those of an element that receives commands. get gives its Cloud, nil while it is stopped.
func Signals[T any](get func(*T) *Cloud) []gst.Signal {
	return []gst.Signal{
		// cloud-command (name, sensor, arguments, handle) → TRUE when it was carried out.
		{Name: "cloud-command", Return: gst.TypeBool, Accumulator: gst.AccTrueHandled,
			Params: []gst.Type{gst.TypeString, gst.TypeString, gst.TypeStructure(), gst.TypeString}},
		// recording-command (name, sensor, start in ms before now, duration in ms, handle) → TRUE when it was carried out.
		{Name: "recording-command", Return: gst.TypeBool, Accumulator: gst.AccTrueHandled,
			Params: []gst.Type{gst.TypeString, gst.TypeString, gst.TypeUint64, gst.TypeUint64, gst.TypeString}},
		// cloud-reply (handle, status, reason, result) → whether the command still waited.
		{Name: "cloud-reply", Action: true, Return: gst.TypeBool,
			Params: []gst.Type{gst.TypeString, gst.TypeString, gst.TypeString, gst.TypeStructure()},
			Handler: func(inst any, args []any) any {
				c := get(inst.(*T))
				if c == nil {
					return false
				}
				handle, _ := args[0].(string)
				status, _ := args[1].(string)
				reason, _ := args[2].(string)
				result, has := args[3].(gst.Structure)
				return c.Reply(handle, status, reason, result, has)
			}},
	}
}
