// SPDX-License-Identifier: LGPL-2.1-or-later

// Package c2d reads what a cloud sends to a device: commands as JSON, and the configuration groups that
// say where they come from. It writes the replies. Pure Go, no network, no GStreamer.
//
// Interface mirrored: the cloud-to-device messages and the groups [message-consumerN] and [sensorN] of
// DeepStream's sample applications (deepstream-test5). Its recording commands
//
//	{"command": "start-recording", "start": "2020-05-18T20:02:00.051Z", "end": "2020-05-18T20:02:02.851Z",
//	 "sensor": {"id": "CAMERA_ID"}}
//
// are understood as they are; the generic form adds arguments, a reply topic and an id:
//
//	{"command": "set-property", "sensor": "cam-1", "arguments": {"level": 3}, "reply-to": "replies", "id": "42"}
package c2d
