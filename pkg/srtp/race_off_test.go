// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !race && !asan && !msan

package srtp

const raceEnabled = false
