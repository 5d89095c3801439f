// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build race || asan || msan

package srtp

// The race detector's instrumentation allocates inside crypto/sha1.
const raceEnabled = true
