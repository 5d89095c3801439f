// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// BenchmarkPublish publishes to a Mosquitto, everything acknowledged.
func BenchmarkPublish(b *testing.B) {
	for _, version := range []string{"5", "3.1.1"} {
		for qos := range 3 {
			b.Run(fmt.Sprintf("v%s/qos%d", version, qos), func(b *testing.B) {
				s := newServer(b, "")
				r := adaptertest.NewRecorder()
				c := openConn(b, s.ConnStr(), fmt.Sprintf("protocol-version=%s\nqos=%d\n", version, qos), r)
				adaptertest.Wait(b, "the connection", func() bool { return len(r.States()) > 1 })
				var batch adapters.Batch
				payload := make([]byte, 1000)
				for i := range uint64(100) {
					batch.Append(i+1, 0, "bench", nil, payload)
				}
				b.SetBytes(1000)
				b.ResetTimer()
				for done := 0; done < b.N; {
					n, err := c.Publish(&batch, max(batch.Len()-(b.N-done), 0))
					if err != nil {
						b.Fatal(err)
					}
					if done += n; n == 0 {
						time.Sleep(100 * time.Microsecond)
					}
				}
				if err := c.Flush(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}
