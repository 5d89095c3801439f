# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the webrtc checks share: webrtcbin as a peer, and headless Chromium as one."""
