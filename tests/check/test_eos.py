# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgbroker ends a pipeline whose bin lost track of having posted PLAYING."""
import threading
import unittest

from ewtest import Gst


class StalePlaying(unittest.TestCase):
    def test_decodebin_pipeline_ends(self):
        """PAUSED is still being posted by decodebin's thread when PLAYING is reached."""
        sink = 'msgbroker proto-lib=kafka conn-str="localhost;1;t" drain-timeout=0'
        for tail in (sink, f"tee name=t ! queue ! {sink} t. ! queue ! fakesink async=false"):
            with self.subTest(tail=tail):
                # Which thread posts PAUSED is decided anew each time: now and then it is one that
                # holds PLAYING up, and there is no race. Every run must end, and one must have met it.
                for _ in range(8):
                    met, ends = self.run_raced(f"videotestsrc num-buffers=30 ! decodebin ! {tail}")
                    self.assertEqual(ends, 1)
                    if met:
                        break
                self.assertTrue(met, "the race was never met")

    def run_raced(self, description):
        """Whether the race was met, and how many EOS came."""
        pipeline = Gst.parse_launch(description)
        paused, playing = threading.Event(), threading.Event()
        met = []

        def hold(_bus, msg):
            if msg.type == Gst.MessageType.STATE_CHANGED and msg.src == pipeline:
                old, new, _ = msg.parse_state_changed()
                if (old, new) == (Gst.State.READY, Gst.State.PAUSED):
                    paused.set()
                    met.append(playing.wait(2))
            return Gst.BusSyncReply.PASS

        bus = pipeline.get_bus()
        bus.set_sync_handler(hold)
        try:
            pipeline.set_state(Gst.State.PAUSED)
            self.assertTrue(paused.wait(10))
            pipeline.set_state(Gst.State.PLAYING)
            playing.set()
            ends = 0
            wait = 10 * Gst.SECOND
            while (msg := bus.timed_pop_filtered(wait, Gst.MessageType.EOS | Gst.MessageType.ERROR)) is not None:
                self.assertEqual(msg.type, Gst.MessageType.EOS)
                ends, wait = ends + 1, Gst.SECOND // 2
            return met == [True], ends
        finally:
            pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    unittest.main()
