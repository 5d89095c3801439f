package dtls
import ("testing";"net";"context";"crypto/tls";"time"
 "github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
 pion "github.com/pion/dtls/v3")
type pc struct{ in chan []byte; peer *pc; dl chan struct{}; done chan struct{} }
func (p *pc) ReadFrom(b []byte)(int,net.Addr,error){ select{ case d:=<-p.in: return copy(b,d),memoryAddr{},nil; case <-p.dl: return 0,nil,context.DeadlineExceeded; case <-p.done: return 0,nil,net.ErrClosed } }
func (p *pc) WriteTo(b []byte,_ net.Addr)(int,error){ select{ case p.peer.in<-append([]byte(nil),b...): default:}; return len(b),nil }
func (p *pc) Close() error { select{case <-p.done: default: close(p.done)}; return nil }
func (p *pc) LocalAddr() net.Addr { return memoryAddr{} }
func (p *pc) SetDeadline(t time.Time) error { return nil }
func (p *pc) SetReadDeadline(t time.Time) error { if !t.IsZero() { select{case <-p.dl: default: close(p.dl)} }; return nil }
func (p *pc) SetWriteDeadline(t time.Time) error { return nil }
func BenchmarkPion(b *testing.B){
 i1,_:=identity.Generate(); i2,_:=identity.Generate()
 before:=cpu()
 for b.Loop(){
  x:=&pc{in:make(chan []byte,64),dl:make(chan struct{}),done:make(chan struct{})}
  y:=&pc{in:make(chan []byte,64),dl:make(chan struct{}),done:make(chan struct{})}
  x.peer,y.peer=y,x
  cfg:=func(i *identity.Identity)*pion.Config{ return &pion.Config{Certificates:[]tls.Certificate{i.TLS()},InsecureSkipVerify:true,ClientAuth:pion.RequireAnyClientCert,EllipticCurves:curves,SRTPProtectionProfiles:[]pion.SRTPProtectionProfile{7}} }
  c,_:=pion.Client(x,memoryAddr{},cfg(i1)); s,_:=pion.Server(y,memoryAddr{},cfg(i2))
  ch:=make(chan error,1); go func(){ch<-s.Handshake()}()
  if err:=c.Handshake();err!=nil{b.Fatal(err)}
  if err:=<-ch;err!=nil{b.Fatal(err)}
  c.Close(); s.Close()
 }
 b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e3, "cpu-µs/op")
}
