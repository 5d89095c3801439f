// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"os"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
)

func TestMessagesOfABatchHaveALimit(t *testing.T) {
	n := batchReader{out: maxOut - 10}
	if !n.room(10) || n.full {
		t.Error("the last that fits is refused")
	}
	if n.room(1) || !n.full || n.room(0) {
		t.Error("what is beyond is taken, or what comes after it")
	}
}

func TestWarningsOfABatchHaveALimit(t *testing.T) {
	var n batchReader
	for range 1000 {
		n.later(gst.StreamEncode, "again")
	}
	if len(n.warnings) != maxLater {
		t.Error(len(n.warnings))
	}
}

func TestDebugFilesOfFramesThatAreWhole(t *testing.T) {
	d := debugWriter{dir: t.TempDir()}
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 2 { // the second time tells what the first has left behind
		d.add([]byte("one"))
		d.add([]byte("two"))
		d.done(at)
		d.done(at) // a frame without a message
		d.add([]byte("three"))
		d.done(at)
		d.add([]byte("of a frame that was given up"))
		if err := d.flush(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(d.dir)
	if err != nil || len(files) != 4 {
		t.Fatal(err, files)
	}
	for name, want := range map[string]string{"": "one \ntwo \n", "-1": "three \n", "-2": "one \ntwo \n", "-3": "three \n"} {
		got, err := os.ReadFile(d.dir + "/2025-01-01T00:00:00.000Z" + name + ".txt")
		if err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}
