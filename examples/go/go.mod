module example

go 1.26.0

require (
	github.com/go-gst/go-gst v1.4.0
	github.com/gst-edgewire/gst-edgewire v0.0.0
)

require (
	github.com/confluentinc/confluent-kafka-go/v2 v2.15.1 // indirect
	github.com/go-gst/go-glib v1.4.0 // indirect
	github.com/mattn/go-pointer v0.0.1 // indirect
	github.com/pion/dtls/v3 v3.1.15 // indirect
	github.com/pion/logging v0.2.4 // indirect
	github.com/pion/transport/v5 v5.0.0 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/crypto v0.53.0 // indirect
	golang.org/x/exp v0.0.0-20240909161429-701f63a606c0 // indirect
	golang.org/x/sys v0.46.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/gst-edgewire/gst-edgewire => ../..
