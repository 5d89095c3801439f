// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// summary is what a run of consume counted.
type summary struct {
	Messages   int               `json:"messages"`
	Bytes      int64             `json:"bytes"`
	Objects    int               `json:"objects"`
	Classes    map[string]int    `json:"classes"`    // objects by label
	Partitions []*partitionCount `json:"partitions"` // in order of topic and number
	Busiest    *busiest          `json:"busiest,omitempty"`
	Sessions   []*session        `json:"sessions,omitempty"` // of msgbroker, by the headers
	Seconds    float64           `json:"seconds"`            // from the first message to the last
	first      time.Time
	last       time.Time
	index      map[string]*partitionCount
	proof      proof
}

type partitionCount struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Messages  int    `json:"messages"`
	First     int64  `json:"first_offset"`
	Last      int64  `json:"last_offset"`
}

// busiest is the frame with the most objects; the first of several.
type busiest struct {
	Frame   string `json:"frame"`
	Objects int    `json:"objects"`
}

func (s *summary) add(r *kgo.Record, d described) {
	now := time.Now()
	if s.Messages == 0 {
		s.first = now
	}
	s.last = now
	s.Messages++
	s.Bytes += int64(len(r.Value))
	s.Objects += len(d.objects)
	if s.Classes == nil {
		s.Classes, s.index, s.proof = map[string]int{}, map[string]*partitionCount{}, proof{}
	}
	for _, o := range d.objects {
		s.Classes[o.label]++
	}
	if d.schema == schemaMinimal && len(d.objects) > 0 && (s.Busiest == nil || len(d.objects) > s.Busiest.Objects) {
		s.Busiest = &busiest{Frame: d.frame, Objects: len(d.objects)}
	}
	s.proof.add(r)
	key := fmt.Sprint(r.Topic, "\x00", r.Partition)
	p := s.index[key]
	if p == nil {
		p = &partitionCount{Topic: r.Topic, Partition: r.Partition, First: r.Offset}
		s.index[key] = p
		s.Partitions = append(s.Partitions, p)
	}
	p.Messages++
	p.Last = r.Offset
}

func (s *summary) close() {
	s.Seconds = s.last.Sub(s.first).Seconds()
	s.Sessions = s.proof.sorted()
	slices.SortFunc(s.Partitions, func(a, b *partitionCount) int {
		if a.Topic != b.Topic {
			if a.Topic < b.Topic {
				return -1
			}
			return 1
		}
		return int(a.Partition - b.Partition)
	})
}

func (s *summary) write(w io.Writer) {
	fmt.Fprintf(w, "%s, %s", plural(s.Messages, "message"), plural(int(s.Bytes), "byte"))
	if s.Messages > 1 {
		fmt.Fprintf(w, " in %.1f s", s.Seconds)
	}
	fmt.Fprintln(w)
	if s.Objects > 0 {
		fmt.Fprintf(w, "  %s:", plural(s.Objects, "object"))
		labels := make([]string, 0, len(s.Classes))
		for l := range s.Classes {
			labels = append(labels, l)
		}
		slices.SortFunc(labels, func(a, b string) int {
			if s.Classes[a] != s.Classes[b] {
				return s.Classes[b] - s.Classes[a]
			}
			if a < b {
				return -1
			}
			return 1
		})
		for i, l := range labels {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, " %d %s", s.Classes[l], clean(l))
		}
		fmt.Fprintln(w)
	}
	if s.Busiest != nil {
		fmt.Fprintf(w, "  busiest frame: %s with %s\n", clean(s.Busiest.Frame), plural(s.Busiest.Objects, "object"))
	}
	for _, p := range s.Partitions {
		fmt.Fprintf(w, "  %s partition %d: %s, offsets %d to %d\n", p.Topic, p.Partition, plural(p.Messages, "message"), p.First, p.Last)
	}
	writeSessions(w, s.Sessions)
}

// save writes the summary as JSON.
func (s *summary) save(path string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
