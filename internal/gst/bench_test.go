// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"fmt"
	"testing"
	"time"
)

type emptyIP struct{ *Element }

func (*emptyIP) TransformIP(Buffer) FlowReturn { return FlowOK }

var _ = factory("ewtemptyip", &Class{
	Parent: ParentBaseTransform, Proto: (*emptyIP)(nil), Pads: []PadTemplate{sinkAny, srcAny},
	New: func(e *Element) any { e.SetInPlace(); return &emptyIP{e} },
})

type emptySink struct{ *Element }

func (*emptySink) Render(Buffer) FlowReturn { return FlowOK }

var _ = factory("ewtemptysink", &Class{
	Parent: ParentBaseSink, Proto: (*emptySink)(nil), Pads: []PadTemplate{sinkAny},
	New: func(e *Element) any { e.SetSync(false); e.SetLastSample(false); return &emptySink{e} },
})

type mapSink struct {
	*Element
	n int
}

func (s *mapSink) Render(b Buffer) FlowReturn {
	b.Map(func(d []byte) { s.n += len(d) })
	return FlowOK
}

var _ = factory("ewtmapsink", &Class{
	Parent: ParentBaseSink, Proto: (*mapSink)(nil), Pads: []PadTemplate{sinkAny},
	New: func(e *Element) any { e.SetSync(false); e.SetLastSample(false); return &mapSink{Element: e} },
})

// BenchmarkBuffer is the cost of a buffer through whole pipelines: subtract
// base to have an element's own.
func BenchmarkBuffer(b *testing.B) {
	const src, sink = "fakesrc num-buffers=%d sizetype=fixed sizemax=188", "fakesink sync=false enable-last-sample=false"
	for _, c := range []struct{ name, rest string }{
		{"base", sink},
		{"identity", "identity silent=true ! " + sink},
		{"transform-ip", "ewtemptyip ! " + sink},
		{"chain-push", "ewtspread ! " + sink},
		{"render", "ewtemptysink"},
		{"render-map", "ewtmapsink"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := launch(b, fmt.Sprintf(src, b.N)+" ! "+c.rest)
			b.ResetTimer()
			if err := p.Run(5 * time.Minute); err != nil {
				b.Fatal(err)
			}
		})
	}
}
