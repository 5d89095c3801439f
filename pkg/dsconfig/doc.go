// SPDX-License-Identifier: LGPL-2.1-or-later

// Package dsconfig reads DeepStream's configuration files: the static properties that nvmsgconv puts into
// messages (Load) and key files in general, such as the [message-broker] files of the protocol adaptors
// (ParseKeyFile).
//
// Every error and warning names the file, the line, the key and the remedy, and never the value of a key.
// Where the reference crashes or aborts, an error is returned; where it gives up although the intent is
// plain, the file is accepted:
//
//   - a UTF-8 byte order mark, and blanks around the numbers of a list;
//   - `enable: true` (and yes, on) in YAML, where the reference wants a number and aborts;
//   - a CSV file for every schema, which the reference reads for the full one alone;
//   - an unknown escape, invalid UTF-8 or a missing YAML file is an error instead of a crash.
//
// A YAML group ds3d::datamap names the entries of lidar data (DataMap).
//
// What the reference silently ignores is a warning: groups that are off for want of a valid enable, unknown
// groups and keys, repeated keys, text behind a group's number.
package dsconfig
