// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const brokerHelp = `
usage: edgewire broker [OPTIONS]

Runs a small Kafka-compatible broker until it is interrupted. Topics are made
when they are first used. It is meant for trying things out and for tests:
messages are kept in memory, or in --data, and nobody has to sign in.`

func runBroker(ctx context.Context, args []string, s streams) error {
	fs := newFlags("broker", brokerHelp, s)
	listen := fs.String("listen", "127.0.0.1:9092", "`ADDRESS:PORT` to listen on; port 0 takes a free one")
	data := fs.String("data", "", "`FOLDER` that keeps the messages beyond the end of this process")
	partitions := fs.Int("partitions", 1, "number of partitions of a new topic")
	ready := fs.String("ready-file", "", "`FILE` that gets the address once connections are taken; it is deleted at the end")
	var topics list
	fs.Var(&topics, "topics", "`NAMES` of topics to make at once, with commas between them")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *partitions < 1 || *partitions > 1000 {
		return usagef("broker --partitions must be between 1 and 1000, not %d", *partitions)
	}
	host, port, err := listenAddress(*listen)
	if err != nil {
		return err
	}

	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(*partitions),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			return net.Listen(network, net.JoinHostPort(host, strconv.Itoa(port)))
		}),
	}
	if port != 0 {
		opts = append(opts, kfake.Ports(port))
	}
	if *data != "" {
		lock, err := lockFolder(*data)
		if err != nil {
			return err
		}
		defer lock.Close()
		// What a client was told is kept must be there when this process is killed, too.
		opts = append(opts, kfake.DataDir(*data), kfake.SyncWrites())
	}
	// Topics that --data has brought back exist already: CreateTopic below
	// then reports so, which SeedTopics would take for a failure.
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", *listen, err)
	}
	defer cluster.Close()
	if *data != "" {
		keepTopics(cluster, *partitions)
	}
	for _, topic := range topics {
		if cluster.TopicInfo(topic) != nil {
			continue
		}
		if err := cluster.CreateTopic(topic, int32(*partitions), nil); err != nil {
			return fmt.Errorf("cannot make the topic %q: %w", topic, err)
		}
	}

	address := cluster.ListenAddrs()[0]
	if *ready != "" {
		// Renamed into place: whoever waits for the file finds it whole.
		if err := os.WriteFile(*ready+".new", []byte(address+"\n"), 0o644); err != nil {
			return fmt.Errorf("cannot write --ready-file: %w", err)
		}
		if err := os.Rename(*ready+".new", *ready); err != nil {
			return fmt.Errorf("cannot write --ready-file: %w", err)
		}
		defer os.Remove(*ready)
	}
	fmt.Fprintf(s.out, "edgewire broker listens on %s\n", address)
	<-ctx.Done()
	fmt.Fprintln(s.out, "edgewire broker has stopped")
	return nil
}

// keepTopics writes each topic that is made by its first use to disk at once: kfake does so when it stops, and
// without the name its messages would not be found again after a crash.
func keepTopics(cluster *kfake.Cluster, partitions int) {
	cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req, ok := r.(*kmsg.MetadataRequest)
		if !ok || !req.AllowAutoTopicCreation {
			return nil, nil, false
		}
		for _, t := range req.Topics {
			if t.Topic != nil && cluster.TopicInfo(*t.Topic) == nil {
				_ = cluster.CreateTopic(*t.Topic, int32(partitions), nil) // a name that is refused: the answer says so
			}
		}
		return nil, nil, false
	})
}

// lockFolder takes --data for this process: two brokers would write over each other's messages. The kernel
// lets go of it when the process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make --data: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write --data: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("--data %s is used by another broker (%w); stop that one, or name another folder", dir, err)
	}
	return f, nil
}

// listenAddress checks that clients can be sent back to this address: Kafka's
// protocol tells each client where its broker is.
func listenAddress(s string) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, usagef("broker --listen %q is not ADDRESS:PORT: %v", s, err)
	}
	port, err = strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, usagef("broker --listen %q: the port must be a number from 0 to 65535", s)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		return "", 0, usagef("broker --listen %q: name one address of this machine, since clients are told to connect to it", s)
	}
	return host, port, nil
}
