// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

const (
	workloadPatience = 5 * time.Second
	workloadVersion  = "2019-01-30"
	maxWorkload      = 1 << 20
)

// A workload is the API by which the Edge daemon signs for its modules.
type workload struct {
	base       string // URL without the path
	path       string // of the module's generation
	apiVersion string
	client     *http.Client
}

// environment reads what the Edge daemon tells a module. A connection string there (for development) gives
// no workload.
func environment() (*identity, *workload, error) {
	for _, name := range []string{"EdgeHubConnectionString", "IotHubConnectionString"} {
		if text := settings.Getenv(name); text != "" {
			id, err := parse(text)
			if err == nil && id.module == "" {
				err = errors.New("ModuleId is missing")
			}
			if err == nil && id.key == nil {
				err = errors.New("SharedAccessKey is missing")
			}
			if err != nil {
				return nil, nil, fmt.Errorf("the environment variable %s: %w", name, err)
			}
			return id, nil, nil
		}
	}
	id := &identity{}
	var uri, generation string
	var missing []string
	for name, field := range map[string]*string{"IOTEDGE_IOTHUBHOSTNAME": &id.host, "IOTEDGE_DEVICEID": &id.device, "IOTEDGE_MODULEID": &id.module,
		"IOTEDGE_MODULEGENERATIONID": &generation, "IOTEDGE_WORKLOADURI": &uri} {
		if *field = settings.Getenv(name); *field == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("azure_edge without a connection string runs inside an IoT Edge module, but the environment has no %s; "+
			"run it in a module, or set conn-str to the connection string of a module", strings.Join(missing, ", "))
	}
	id.gateway = settings.Getenv("IOTEDGE_GATEWAYHOSTNAME")
	if err := id.check(); err != nil {
		return nil, nil, fmt.Errorf("the environment of the IoT Edge module: %w", err)
	}
	w, err := newWorkload(uri, id.module, generation, settings.Getenv("IOTEDGE_APIVERSION"))
	if err != nil {
		return nil, nil, err
	}
	id.trust = w.trust
	return id, w, nil
}

func newWorkload(uri, module, generation, version string) (*workload, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("IOTEDGE_WORKLOADURI is no URL: %w", err)
	}
	if version == "" {
		version = workloadVersion
	}
	w := &workload{path: "/modules/" + url.PathEscape(module) + "/genid/" + url.PathEscape(generation), apiVersion: version,
		client: &http.Client{Timeout: workloadPatience}}
	switch u.Scheme {
	case "unix":
		socket := u.Path
		w.base = "http://workload"
		w.client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}
	case "http":
		w.base = strings.TrimSuffix(uri, "/")
		w.client.Transport = &http.Transport{DisableKeepAlives: true}
	default:
		return nil, errors.New("IOTEDGE_WORKLOADURI is neither unix:// nor http://")
	}
	return w, nil
}

// call asks the daemon; question nil means GET.
func (w *workload) call(ctx context.Context, path string, question, answer any) error {
	fail := func(err error) error {
		return fmt.Errorf("the IoT Edge daemon does not answer (%w); check that the module may reach IOTEDGE_WORKLOADURI", err)
	}
	method, body := http.MethodGet, io.Reader(nil)
	if question != nil {
		text, err := json.Marshal(question)
		if err != nil {
			return err
		}
		method, body = http.MethodPost, bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.base+path+"?api-version="+url.QueryEscape(w.apiVersion), body)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("HTTP status %d", resp.StatusCode))
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxWorkload)).Decode(answer); err != nil {
		return fail(errors.New("its answer is not the JSON that was expected"))
	}
	return nil
}

// sign lets the daemon sign with the module's key, which it does not give away.
func (w *workload) sign(ctx context.Context, text string) ([]byte, error) {
	var answer struct {
		Digest string `json:"digest"`
	}
	err := w.call(ctx, w.path+"/sign", map[string]string{"keyId": "primary", "algo": "HMACSHA256", "data": base64.StdEncoding.EncodeToString([]byte(text))}, &answer)
	if err != nil {
		return nil, err
	}
	digest, err := base64.StdEncoding.DecodeString(answer.Digest)
	if err != nil || len(digest) == 0 {
		return nil, errors.New("the IoT Edge daemon gave a signature that is not base64")
	}
	return digest, nil
}

// trust asks the daemon for the authorities that vouch for the gateway.
func (w *workload) trust(ctx context.Context) (*x509.CertPool, error) {
	var answer struct {
		Certificate string `json:"certificate"`
	}
	if err := w.call(ctx, "/trust-bundle", nil, &answer); err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM([]byte(answer.Certificate)) {
		return nil, errors.New("the trust bundle of the IoT Edge daemon holds no certificate")
	}
	return pool, nil
}
