// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"fmt"
	"testing"
	"time"
)

func TestHandshake(t *testing.T) {
	for _, cert := range []string{"p256", "rsa", "p384", "ed25519"} {
		for _, auth := range []bool{true, false} {
			for _, mtu := range []int{1200, 300} {
				for _, loss := range []float64{0, 0.2} {
					if (cert == "p384" || cert == "ed25519") && (!auth || mtu != 300 || loss != 0) {
						continue
					}
					name := fmt.Sprintf("%s/auth=%v/mtu=%d/loss=%v", cert, auth, mtu, loss)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						r, err := setup{cert: cert, clientAuth: auth, mtu: mtu, loss: loss, seed: 7, startSeq: 5000}.run(t, 20*time.Second)
						if err != nil {
							t.Fatalf("%v; client: %s; server: %s", err, r.clientGuard.Hint(), r.serverGuard.Hint())
						}
						r.exchange(t)
						if loss == 0 && r.dropped() != ([2][Reasons]int{}) {
							t.Errorf("a quiet handshake dropped %v", r.dropped())
						}
					})
				}
			}
		}
	}
}
