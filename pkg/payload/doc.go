// SPDX-License-Identifier: LGPL-2.1-or-later

// Package payload turns frames into messages, in DeepStream's schemas: full JSON, minimal JSON and
// protobuf. An Encoder is fed with an event.Frame and hands out the bytes.
//
// # Layout
//
// The members, their order and their values are those of DeepStream 9.1's converter, byte for byte with
// Options.Indent 2; by default the same JSON is written without blanks. Numbers look as
// C prints them in the C locale, whatever the locale of the host: %.17g in the full schema, %g in the
// minimal one, %f in its poses and 3D tracking and in protobuf's info.
//
// # Detections without events
//
// Plain detections (event.Frame.EventsFromObjects) have a measured confidence, which is written in the
// full schema even where the reference has the fixed default 1.0 (an object without attributes) or nothing
// (bag, bicycle, roadsign, product and objects of unknown type: {"dog":{"confidence":0.9}}). Events with
// HasConfidence false are written as the reference does. In the frame API, @timestamp is the time of the
// frame; only a frame without one gets the wall clock, which the reference always writes.
//
// # What is different on purpose
//
// No configuration is needed for any schema: descriptions that do not exist are null in the full schema,
// and the minimal and protobuf schemas take sensorId from Frame.SensorID, which comes after the event's own
// name and the configuration. The reference fails to start or crashes.
//
// Numbers and text are always valid:
//   - NaN and infinity are null, where the reference writes nan.0 and inf.0, which is not JSON. Inside the
//     strings of the minimal schema they stay nan and inf.
//   - Pixels that do not fit 64 bits are cut to the nearest number that does; the reference's conversion is
//     undefined.
//   - Control characters are all escaped (the reference forgets 0x1f).
//   - Each byte that is not valid UTF-8 becomes U+FFFD, in protobuf as well; the reference copies it.
//
// What the reference loses or mixes up is in its place:
//   - footLocation3D holds the foot on the ground; the reference appends it to footLocation2D.
//   - The mask of a product is written.
//   - In the minimal schema a bar stands between the confidence and #|SV3DT.
//   - Boxes of the frame API are scaled from the pipeline's picture to the source's when both sizes are
//     known, and stay as they are when not; the reference never scales, or makes each box zero.
//   - A dummy payload is written only for frames without events; the reference replaces the first event.
//   - Joints beyond the known names and poses of unknown type are left out; the reference crashes.
//   - In protobuf, a pose is written for every type of object.
//
// Lidar readings (EncodeLidar) and scenes of 3D boxes (EncodeScene) are messages of their own, in the minimal and the
// protobuf schema; what is different there stands at these functions.
//
// An event whose timestamp cannot be written in protobuf is refused with a TimeError; the reference drops it
// silently.
package payload
