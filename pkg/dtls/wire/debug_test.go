package wire

import "fmt"

func (g *Guard) debug() string {
	s := fmt.Sprintf("client=%v hellos=%d verified=%v stale=%v proven=%d complete=%v again=%d flightDone=%v outDone=%v outFin=%v req=%v ccs=%v held=%d est=%v helloSeq=%d\n", g.client, g.hellos, g.verified, g.stale, len(g.flight.proven), g.flight.complete, g.flight.again, g.flightDone, g.outDone, g.outFinished, g.requested, g.ccsDone, len(g.held), g.established, g.helloSeq)
	for _, a := range g.flight.pool.groups {
		s += fmt.Sprintf("  seq=%d kind=%d len=%d pieces=%d wholes=%d covered=%v\n", a.seq, a.kind, a.length, len(a.pieces), len(a.wholes), a.covered())
	}
	for k, m := range g.out {
		s += fmt.Sprintf("  out seq=%d kind=%d have %d\n", k, m.raw[0], m.have)
	}
	return s
}

var spoofSeeds = 40

func compare(c, s *Guard) string {
	out := ""
	for k, m := range s.out {
		out += fmt.Sprintf("  seq %d same=%v (%d %d)\n", k, string(m.raw) == string(c.passed[k]), len(m.raw), len(c.passed[k]))
	}
	out += fmt.Sprintf("  spent %v failed %d hello same\n", s.flight.spent, len(s.flight.failed))
	for _, a := range s.flight.pool.groups {
		out += fmt.Sprintf("  group kind %d len %d bytes %d:", a.kind, a.length, a.bytes)
		for _, p := range a.pieces {
			if a.length == 671 || a.length == 260 {
				out += fmt.Sprintf(" [%d,%d rec %d dg %d n %d]", p.offset, p.end(), p.seen[(p.count-1)%sightings].record, p.recent(), p.count)
			}
		}
		out += "\n"
	}
	return out
}
