// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// secured starts a server that speaks TLS with certificates on both sides, and where one must sign in.
func secured(t *testing.T, user, password string, args ...string) *server {
	t.Helper()
	dir := certificates(t)
	args = append(args, "--tls", dir, "--config-line", "tls-auth-clients yes", "--config-line", "tls-replication yes",
		"--config-line", "tls-client-cert-file "+dir+"/client.pem", "--config-line", "tls-client-key-file "+dir+"/client-key.pem",
		"--config-line", fmt.Sprintf("user %s on >%s ~* &* +@all", user, password), "--config-line", "user default off")
	s := &server{Process: adaptertest.StartServer(t, "redis", args...)}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.pem"), filepath.Join(dir, "client-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.c = client(t, &goredis.Options{Addr: s.Addr, Username: user, Password: password,
		TLSConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}})
	return s
}

func mutual(dir string) string {
	return fmt.Sprintf("tls-ca-file = %s/ca.pem\ntls-cert-file = %[1]s/client.pem\ntls-key-file = %[1]s/client-key.pem\n", dir)
}

// TestSentinelSecured: TLS, certificates and users, others for the Sentinels than for the server that they name.
func TestSentinelSecured(t *testing.T) {
	dir := certificates(t)
	master := secured(t, "writer", "master-password")
	host, port, _ := strings.Cut(master.Addr, ":")
	// Sentinel's lines about a master must follow the one that names it.
	watch := secured(t, "asker", "sentinel-password", "--sentinel", "--config-line", fmt.Sprintf("sentinel monitor cameras %s %s 1", host, port),
		"--config-line", "sentinel auth-user cameras writer", "--config-line", "sentinel auth-pass cameras master-password")
	const users = "sentinel-master = cameras\nsentinel-username = asker\nusername = writer\n"
	secret := adaptertest.WriteFile(t, "sentinel", "sentinel-password\n")
	for name, config := range map[string]string{
		"inline": users + "sentinel-password = sentinel-password\npassword = master-password\n",
		"file":   users + "sentinel-password-file = " + secret + "\npassword = master-password\n",
	} {
		t.Run(name, func(t *testing.T) {
			r, got := adaptertest.NewRecorder(), adaptertest.NewCollector()
			c := openConn(t, watch.ConnStr(), mutual(dir)+config, r)
			if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"s-" + name}, FromStart: true}, got); err != nil {
				t.Fatal(err)
			}
			adaptertest.Send(t, c, batchOf(1, "s-"+name, 100))
			results(t, r, 100, 0)
			c.Ack(got.Wait(t, 100))
		})
	}
	for name, c := range map[string]struct{ config, want string }{
		"wrong password of the Sentinel": {mutual(dir) + users + "sentinel-password = hunter2-hunter2\npassword = master-password\n", "sentinel-password"},
		"none for the Sentinel":          {mutual(dir) + "sentinel-master = cameras\nusername = writer\npassword = master-password\n", "sentinel-password"},
		"wrong password of the server":   {mutual(dir) + users + "sentinel-password = sentinel-password\npassword = hunter2-hunter2\n", "check username and password"},
		"plaintext to the Sentinel":      {mutual(dir) + users + "sentinel-tls = false\nsentinel-password = sentinel-password\npassword = master-password\n", "sentinel-tls"},
		"no certificate":                 {"tls-ca-file = " + dir + "/ca.pem\n" + users + "sentinel-password = sentinel-password\npassword = master-password\n", "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			r := adaptertest.NewRecorder()
			adaptertest.Send(t, openConn(t, watch.ConnStr(), c.config, r), batchOf(1, "x", 3))
			down(t, r, c.want)
			if all, _ := r.Results(); all != 0 {
				t.Error("a message has a result")
			}
			for _, e := range r.States() {
				if strings.Contains(e.Reason, "hunter2") || strings.Contains(e.Reason, "master-password") {
					t.Errorf("a secret in %q", e.Reason)
				}
			}
		})
	}
}

// TestClusterSecured: the same for the nodes of a cluster, which are found from one of them.
func TestClusterSecured(t *testing.T) {
	dir := certificates(t)
	var addrs []string
	var nodes []*server
	for range 3 {
		s := secured(t, "writer", "cluster-password", "--cluster", "--config-line", "tls-cluster yes")
		nodes, addrs = append(nodes, s), append(addrs, s.Addr)
	}
	args := append([]string{"--tls", "--cacert", dir + "/ca.pem", "--cert", dir + "/client.pem", "--key", dir + "/client-key.pem",
		"--user", "writer", "--pass", "cluster-password", "--no-auth-warning", "--cluster", "create"}, append(addrs, "--cluster-yes")...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, s := range nodes {
		adaptertest.Wait(t, "the cluster", func() bool { return strings.Contains(fmt.Sprint(do(t, s.c, "CLUSTER", "INFO")), "cluster_state:ok") })
	}
	const config = "cluster = true\nusername = writer\npassword = cluster-password\n"
	r, got := adaptertest.NewRecorder(), adaptertest.NewCollector()
	c := openConn(t, nodes[0].ConnStr(), mutual(dir)+config, r)
	var b adapters.Batch
	var topics []string
	for i := range 12 { // on all nodes
		topics = append(topics, fmt.Sprint("stream-", i))
		for n := range 20 {
			b.Append(uint64(i*20+n+1), 0, topics[i], nil, fmt.Append(nil, n))
		}
	}
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: topics, FromStart: true}, got); err != nil {
		t.Fatal(err)
	}
	adaptertest.Send(t, c, &b)
	results(t, r, 240, 0)
	c.Ack(got.Wait(t, 240))
	r = adaptertest.NewRecorder()
	adaptertest.Send(t, openConn(t, nodes[0].ConnStr(), mutual(dir)+strings.Replace(config, "cluster-password", "hunter2-hunter2", 1), r), batchOf(1, "x", 3))
	down(t, r, "check username and password")
}
