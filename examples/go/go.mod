module example

go 1.26.0

require (
	github.com/gst-edgewire/gst-edgewire v0.0.0
	github.com/go-gst/go-gst v1.4.0
)

replace github.com/gst-edgewire/gst-edgewire => ../..
