package dtls
import ("os";"fmt";"time")
func init(){ if os.Getenv("DTLSLOG")!="" { SetLog(func(l int, s string){ fmt.Println(time.Now().Format("05.000"), l,s) }) } }
