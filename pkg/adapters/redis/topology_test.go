// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestSlot: the examples of Redis's cluster specification, and what redis-cli says.
func TestSlot(t *testing.T) {
	for key, slot := range map[string]int{"123456789": 0x31c3, "foo": 12182, "{foo}.bar": 12182, "a{foo}b{c}": 12182, "foo{}{bar}": 8363, "": 0} {
		if got := slotOf([]byte(key)); got != slot {
			t.Errorf("%q: slot %d, want %d", key, got, slot)
		}
	}
}

// TestSentinel: the Sentinels name another master after a fail-over, and nothing is lost.
func TestSentinel(t *testing.T) {
	master := newServer(t, "--durable", "--config-line", "min-replicas-to-write 0")
	replica := newServer(t, "--replica-of", master.Addr, "--durable")
	host, port, _ := strings.Cut(master.Addr, ":")
	var sentinels []*server
	for range 2 {
		s := newServer(t, "--sentinel", "--config-line", fmt.Sprintf("sentinel monitor cameras %s %s 2", host, port),
			"--config-line", "sentinel down-after-milliseconds cameras 700", "--config-line", "sentinel failover-timeout cameras 4000")
		sentinels = append(sentinels, s)
	}
	adaptertest.Wait(t, "the Sentinels to know each other and the replica", func() bool {
		for _, s := range sentinels {
			text := fmt.Sprint(do(t, s.c, "SENTINEL", "MASTER", "cameras"))
			if !strings.Contains(text, "num-other-sentinels 1") || !strings.Contains(text, "num-slaves 1") {
				return false
			}
		}
		return strings.Contains(fmt.Sprint(do(t, replica.c, "INFO", "replication")), "master_link_status:up")
	})
	connStr := "127.0.0.1:1," + sentinels[0].Addr + "," + sentinels[1].Addr + ";26379"
	const config = "sentinel-master = cameras"
	r := adaptertest.NewRecorder()
	c := openConn(t, connStr, config, r)
	got := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"x"}, FromStart: true}, got); err != nil {
		t.Fatal(err)
	}
	adaptertest.Send(t, c, batchOf(1, "x", 500))
	results(t, r, 500, 0)
	adaptertest.Wait(t, "the replica to follow", func() bool {
		n, err := replica.c.XLen(t.Context(), "x").Result()
		return err == nil && n == 500
	})
	c.Ack(got.Wait(t, 500))
	master.Kill(t)
	adaptertest.Send(t, c, batchOf(501, "x", 500))
	results(t, r, 1000, 0)
	inOrder(t, consume(t, replica.c, "x", 1000), 1000)
	adaptertest.Wait(t, "all messages", func() bool { return got.Different() == 1000 })

	r = adaptertest.NewRecorder()
	openConn(t, connStr, "sentinel-master = nobody", r)
	down(t, r, `it knows no master named "nobody"; check sentinel-master`)
}

// A testCluster has three masters.
type testCluster struct {
	nodes []*server
	c     *goredis.ClusterClient
}

func newCluster(t *testing.T) *testCluster {
	t.Helper()
	cl := &testCluster{}
	args := []string{"--cluster", "create"}
	var addrs []string
	for range 3 {
		s := newServer(t, "--cluster", "--durable")
		cl.nodes = append(cl.nodes, s)
		addrs = append(addrs, s.Addr)
	}
	args = append(append(args, addrs...), "--cluster-yes")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, s := range cl.nodes {
		adaptertest.Wait(t, "the cluster", func() bool {
			return strings.Contains(fmt.Sprint(do(t, s.c, "CLUSTER", "INFO")), "cluster_state:ok")
		})
	}
	cl.c = goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addrs, Protocol: 2})
	t.Cleanup(func() { _ = cl.c.Close() })
	return cl
}

// owner is the node that has the slot of key.
func (cl *testCluster) owner(t *testing.T, key string) int {
	t.Helper()
	for i, s := range cl.nodes {
		if err := s.c.XLen(t.Context(), key).Err(); err == nil {
			return i
		} else if !strings.HasPrefix(err.Error(), "MOVED") {
			t.Fatal(err)
		}
	}
	t.Fatal("no node has " + key)
	return 0
}

func (cl *testCluster) id(t *testing.T, i int) string {
	return strings.TrimSpace(do(t, cl.nodes[i].c, "CLUSTER", "MYID").(string))
}

// TestCluster: many streams on three nodes, while slots move under load, both ways.
func TestCluster(t *testing.T) {
	cl := newCluster(t)
	const streams, each = 12, 300
	topic := func(i int) string { return fmt.Sprintf("stream-%d", i) }
	for name, config := range map[string]string{"told": "cluster = true", "found out": ""} {
		t.Run(name, func(t *testing.T) {
			for i := range streams {
				if err := cl.c.Del(t.Context(), topic(i)).Err(); err != nil {
					t.Fatal(err)
				}
			}
			r := adaptertest.NewRecorder()
			c := openConn(t, "127.0.0.1:1,"+cl.nodes[0].Addr+";6379", config, r)
			got := adaptertest.NewCollector()
			var topics []string
			for i := range streams {
				topics = append(topics, topic(i))
			}
			if err := c.Subscribe(adapters.SubscribeConfig{Topics: topics, FromStart: true, Window: 1 << 20, Group: "g-" + strings.Fields(name)[0]}, got); err != nil {
				t.Fatal(err)
			}
			var seq uint64
			send := func(from, to int) {
				var b adapters.Batch
				for n := from; n < to; n++ {
					for i := range streams {
						seq++
						b.Append(seq, 0, topic(i), []byte("k"), fmt.Appendf(nil, "%06d", n+1))
					}
				}
				adaptertest.Send(t, c, &b)
			}
			send(0, 100)
			adaptertest.Wait(t, "the first", func() bool { all, _ := r.Results(); return all > 0 })
			for i := range 3 { // a slot is half moved, messages come, then it moves
				key := topic(i)
				slot := slotOf([]byte(key))
				from := cl.owner(t, key)
				to := (from + 1) % 3
				send(100+20*i, 110+20*i)
				do(t, cl.nodes[to].c, "CLUSTER", "SETSLOT", slot, "IMPORTING", cl.id(t, from))
				do(t, cl.nodes[from].c, "CLUSTER", "SETSLOT", slot, "MIGRATING", cl.id(t, to))
				send(110+20*i, 115+20*i)
				toHost, toPort, _ := strings.Cut(cl.nodes[to].Addr, ":")
				do(t, cl.nodes[from].c, "MIGRATE", toHost, toPort, key, 0, 5000)
				send(115+20*i, 120+20*i)
				time.Sleep(200 * time.Millisecond) // some of it by ASK
				for _, n := range []int{to, from, 3 - to - from} {
					do(t, cl.nodes[n].c, "CLUSTER", "SETSLOT", slot, "NODE", cl.id(t, to))
				}
			}
			send(160, each)
			results(t, r, streams*each, 0)
			for i := range streams {
				if n := inOrder(t, consume(t, cl.c, topic(i), each), each); n != 0 {
					t.Errorf("%s: %d came twice", topic(i), n)
				}
			}
			adaptertest.Wait(t, "all messages", func() bool { return got.Count() >= streams*each })
			next := map[string]int{}
			for _, m := range got.Messages() {
				if want := fmt.Sprintf("%06d", next[m.Topic]+1); string(m.Payload) == want {
					next[m.Topic]++
				}
			}
			for _, topic := range topics {
				if next[topic] != each {
					t.Errorf("%s: received up to %d in order, want %d", topic, next[topic], each)
				}
			}
			_ = c.Close()
			for i := range streams { // the groups go with the streams
				_ = cl.c.Del(t.Context(), topic(i)).Err()
			}
		})
	}
	t.Run("not wanted", func(t *testing.T) {
		r := adaptertest.NewRecorder()
		var b adapters.Batch
		for i := range streams {
			b.Append(uint64(i+1), 0, topic(i), nil, []byte("x"))
		}
		adaptertest.Send(t, openConn(t, cl.nodes[0].ConnStr(), "cluster = false", r), &b)
		down(t, r, "set cluster=true")
	})
	t.Run("node down", func(t *testing.T) {
		r := adaptertest.NewRecorder()
		c := openConn(t, cl.nodes[0].Addr+","+cl.nodes[1].Addr+","+cl.nodes[2].Addr+";6379", "cluster = true", r)
		adaptertest.Send(t, c, batchOf(1, "again", 100))
		results(t, r, 100, 0)
		down1 := cl.owner(t, "again")
		cl.nodes[down1].Kill(t)
		adaptertest.Send(t, c, batchOf(101, "again", 100))
		adaptertest.Wait(t, "a word about it", func() bool { return r.States()[len(r.States())-1].State == adapters.Disconnected })
		cl.nodes[down1].Process.Start(t)
		results(t, r, 200, 0)
		inOrder(t, consume(t, cl.c, "again", 200), 200)
	})
}
