// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const connStrForm = `write HostName=…;DeviceId=…;SharedAccessKey=… as the Azure portal shows it (host;port means nothing here)`

// An identity is what a connection string, or the environment of an Edge module, says about us.
type identity struct {
	host, gateway  string // of the hub, and of the Edge gateway to connect to instead
	device, module string
	key            []byte // nil with X.509 or the workload API
	policy         string // SharedAccessKeyName; "" for the device's own key
	x509           bool
	secrets        []string
	trust          func(context.Context) (*x509.CertPool, error) // of an Edge module: who may vouch for the gateway
}

// parse reads a connection string. Its errors never show a value: one of them is the key.
func parse(s string) (*identity, error) {
	fail := func(format string, args ...any) (*identity, error) {
		return nil, fmt.Errorf("conn-str: %s; %s", fmt.Sprintf(format, args...), connStrForm)
	}
	id := &identity{}
	fields := map[string]*string{"hostname": &id.host, "gatewayhostname": &id.gateway, "deviceid": &id.device, "moduleid": &id.module,
		"sharedaccesskeyname": &id.policy}
	key, certificate := "", ""
	fields["sharedaccesskey"], fields["x509"] = &key, &certificate
	for i, item := range strings.Split(strings.TrimSpace(s), ";") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, value, ok := strings.Cut(item, "=")
		name = strings.TrimSpace(name)
		if !ok || value == "" {
			return fail("part %d has no Name=value", i+1)
		}
		field := fields[strings.ToLower(name)]
		if field == nil {
			return fail("part %d is none of HostName, GatewayHostName, DeviceId, ModuleId, SharedAccessKey, SharedAccessKeyName, x509", i+1)
		}
		if *field != "" {
			return fail("part %d comes twice", i+1)
		}
		*field = strings.TrimSpace(value)
	}
	if err := id.check(); err != nil {
		return fail("%v", err)
	}
	id.x509 = strings.EqualFold(certificate, "true")
	switch {
	case id.x509 && key != "":
		return fail("it has both x509=true and SharedAccessKey")
	case id.x509:
		return id, nil
	case certificate != "" && !strings.EqualFold(certificate, "false"):
		return fail("x509 is neither true nor false")
	case key == "":
		return fail("SharedAccessKey is missing (or x509=true, with tls-cert-file and tls-key-file)")
	}
	var err error
	if id.key, err = base64.StdEncoding.DecodeString(key); err != nil || len(id.key) == 0 {
		return fail("SharedAccessKey is not base64")
	}
	id.secrets = []string{key}
	return id, nil
}

func (id *identity) check() error {
	bad := func(s string) bool { return strings.ContainsAny(s, "/#+?&\x00 \t") || len(s) > 1024 }
	switch {
	case id.host == "":
		return errors.New("HostName is missing")
	case id.device == "":
		return errors.New("DeviceId is missing")
	case bad(id.host) || bad(id.gateway) || strings.Contains(id.host, ":") || strings.Contains(id.gateway, ":"):
		return errors.New("HostName or GatewayHostName holds a character that no host name has (a port is set with the key port)")
	case bad(id.device) || bad(id.module):
		return errors.New("DeviceId or ModuleId holds a character that is not allowed there")
	}
	return nil
}

// server is the host to connect to.
func (id *identity) server() string {
	if id.gateway != "" {
		return id.gateway
	}
	return id.host
}

// clientID is device, or device/module.
func (id *identity) clientID() string {
	if id.module == "" {
		return id.device
	}
	return id.device + "/" + id.module
}

// base is the root of our topics.
func (id *identity) base() string {
	if id.module == "" {
		return "devices/" + id.device
	}
	return "devices/" + id.device + "/modules/" + id.module
}

// resource is what a token is for.
func (id *identity) resource() string {
	if id.policy != "" {
		return id.host
	}
	return id.host + "/" + id.base()
}
