// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// listeners of the secured server, each on a port of its own.
const securedProperties = `
listeners=PLAIN://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@,MTLS://127.0.0.1:@PORT2@,SASLTLS://127.0.0.1:@PORT3@,OAUTH://127.0.0.1:@PORT4@,RSA12://127.0.0.1:@PORT5@,EC12://127.0.0.1:@PORT6@,ONLY13://127.0.0.1:@PORT7@,WRONGNAME://127.0.0.1:@PORT8@,EXPIRED://127.0.0.1:@PORT9@
advertised.listeners=PLAIN://127.0.0.1:@PORT@,MTLS://127.0.0.1:@PORT2@,SASLTLS://127.0.0.1:@PORT3@,OAUTH://127.0.0.1:@PORT4@,RSA12://127.0.0.1:@PORT5@,EC12://127.0.0.1:@PORT6@,ONLY13://127.0.0.1:@PORT7@,WRONGNAME://127.0.0.1:@PORT8@,EXPIRED://127.0.0.1:@PORT9@
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,MTLS:SSL,SASLTLS:SASL_SSL,OAUTH:SASL_SSL,RSA12:SSL,EC12:SSL,ONLY13:SSL,WRONGNAME:SSL,EXPIRED:SSL
ssl.keystore.type=PEM
ssl.keystore.location=@PKI@/server-bundle.pem
ssl.truststore.type=PEM
ssl.truststore.location=@PKI@/ca.pem
ssl.client.auth=none
listener.name.mtls.ssl.client.auth=required
listener.name.rsa12.ssl.keystore.location=@PKI@/server-rsa-bundle.pem
listener.name.rsa12.ssl.enabled.protocols=TLSv1.2
listener.name.ec12.ssl.enabled.protocols=TLSv1.2
listener.name.only13.ssl.enabled.protocols=TLSv1.3
listener.name.wrongname.ssl.keystore.location=@PKI@/server-wrong-name-bundle.pem
listener.name.expired.ssl.keystore.location=@PKI@/server-expired-bundle.pem
listener.name.sasltls.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasltls.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_bob="correct horse" user_alice="staple";
listener.name.sasltls.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasltls.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
`

// A securedServer is a real Kafka with every kind of listener.
type securedServer struct {
	pki   string
	plain string
	ports map[string]string // PORT2 …
}

var listenerPorts = map[string]string{"plain": "PORT", "mtls": "PORT2", "sasl": "PORT3", "oauth": "PORT4", "rsa12": "PORT5",
	"ec12": "PORT6", "only13": "PORT7", "wrongname": "PORT8", "expired": "PORT9"}

func startSecured(t *testing.T) *securedServer {
	t.Helper()
	if external() == "" {
		t.Skip("EDGEWIRE_KAFKA is not set: TLS, SASL and ACLs of a real Kafka are NOT tested")
	}
	s := &securedServer{pki: filepath.Join(t.TempDir(), "pki"), ports: map[string]string{}}
	run := func(script string, args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "../../../scripts/"+script, args...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("scripts/%s %v: %v\n%s", script, args, err, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
	run("test-pki", s.pki)
	extra := writeFile(t, "extra.properties", strings.ReplaceAll(securedProperties, "@PKI@", s.pki))
	dir := filepath.Join(t.TempDir(), "kafka")
	t.Cleanup(func() { run("kafka", "stop", dir) })
	s.plain = strings.TrimPrefix(run("kafka", "start", dir, "--extra", extra,
		"--add-scram", "SCRAM-SHA-256=[name=bob,password=correct horse]", "--add-scram", "SCRAM-SHA-512=[name=bob,password=correct horse]"), "bootstrap=")
	data, err := os.ReadFile(filepath.Join(dir, "ports"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, port, _ := strings.Cut(strings.TrimSpace(line), "=")
		s.ports[name] = port
	}
	return s
}

// try publishes one message with the options given and returns what became of it: "" or the reason.
func (s *securedServer) try(t *testing.T, listener, topic string, config string) string {
	t.Helper()
	path := writeFile(t, "kafka.cfg", "[message-broker]\n"+strings.ReplaceAll(config, "@", s.pki)+"\n")
	r := adaptertest.NewRecorder()
	c, err := adapter{}.Open(adapters.Config{ConnStr: "127.0.0.1;" + s.ports[listenerPorts[listener]], ConfigPath: path, Strict: true}, r)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	var b adapters.Batch
	b.Append(1, 0, topic, []byte("k"), []byte("payload of "+t.Name()))
	if _, err := c.Publish(&b, 0); err != nil {
		return err.Error()
	}
	reason := "nothing happened"
	defer func() {
		if t.Failed() {
			t.Logf("%+v\n%+v", r.States(), r.Logs())
		}
	}()
	adaptertest.Wait(t, "an answer or a reason", func() bool {
		if err, ok := r.Result(1); ok {
			reason = ""
			if err != nil {
				reason = err.Error()
			}
			return true
		}
		for _, e := range r.States() {
			if e.State == adapters.Disconnected && e.Reason != "" {
				reason = e.Reason
				return true
			}
		}
		return false
	})
	for _, e := range r.States() {
		reason = leak(t, reason, e.Reason)
	}
	for _, e := range r.Logs() {
		reason = leak(t, reason, e.Text)
	}
	return reason
}

// leak fails the test when a text holds one of its passwords.
func leak(t *testing.T, reason, text string) string {
	t.Helper()
	for _, secret := range []string{"correct horse", "wrong battery", "staple", "oauth-secret-7", "eyJhbGciOiJub25l"} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret in: %s", text)
		}
	}
	return reason
}

const (
	tlsTrust  = "security.protocol=ssl;ssl.ca.location=@/ca.pem"
	tlsClient = tlsTrust + ";ssl.certificate.location=@/client.pem;ssl.key.location=@/client-key.pem"
	saslTrust = "security.protocol=sasl_ssl;ssl.ca.location=@/ca.pem"
)

func protoCfg(options string) string {
	return `proto-cfg = "` + options + `;reconnect.backoff.max.ms=500"`
}

// TestRealSecurity is the tests on one server with every kind of listener.
func TestRealSecurity(t *testing.T) {
	s := startSecured(t)
	t.Run("access", func(t *testing.T) { testRealSecured(t, s) })
	t.Run("ciphers", func(t *testing.T) { testRealCiphers(t, s) })
	t.Run("codecs", func(t *testing.T) { testRealCodecs(t, s) })
	t.Run("oauth", func(t *testing.T) { testRealOAuth(t, s) })
	t.Run("acl", func(t *testing.T) { testRealACL(t, s) })
	t.Run("renewal", func(t *testing.T) { testRealRenewal(t, s) })
}

// testRealSecured: every way into a real Kafka, and the ways that must stay shut. What is refused says why
// and what to do.
func testRealSecured(t *testing.T, s *securedServer) {
	password := writeFile(t, "password", "correct horse\n")
	clientPassword := s.pki + "/client-enc.password"
	for _, c := range []struct{ name, listener, config, want string }{
		{"2-way TLS", "mtls", protoCfg(tlsClient), ""},
		{"2-way TLS, bundle", "mtls", protoCfg(tlsTrust + ";ssl.certificate.location=@/client-bundle.pem;ssl.key.location=@/client-bundle.pem"), ""},
		{"encrypted key", "mtls", protoCfg(tlsTrust+";ssl.certificate.location=@/client.pem;ssl.key.location=@/client-enc-key.pem") +
			"\nssl-key-password-file=" + clientPassword, ""},
		{"encrypted key, wrong password", "mtls", protoCfg(tlsTrust + ";ssl.certificate.location=@/client.pem;ssl.key.location=@/client-enc-key.pem;ssl.key.password=wrong battery"), "ssl.key.location"},
		{"no client certificate", "mtls", protoCfg(tlsTrust), "does not accept the client's certificate"},
		{"client certificate of another CA", "mtls", protoCfg(tlsTrust + ";ssl.certificate.location=@/client-other-ca.pem;ssl.key.location=@/client-other-ca-key.pem"), "does not accept the client's certificate"},
		{"expired client certificate", "mtls", protoCfg(tlsTrust + ";ssl.certificate.location=@/client-expired.pem;ssl.key.location=@/client-expired-key.pem"), "does not accept the client's certificate"},
		{"untrusted server", "mtls", protoCfg(strings.Replace(tlsClient, "ca.pem", "other-ca.pem", 1)), "ssl.ca.location"},
		{"server of another name", "wrongname", protoCfg(tlsTrust), "names this host"},
		{"server of another name, unchecked", "wrongname", protoCfg(tlsTrust + ";ssl.endpoint.identification.algorithm=none"), ""},
		{"expired server certificate", "expired", protoCfg(tlsTrust), "that the broker's certificate is valid"},
		{"TLS to plaintext", "plain", protoCfg(tlsTrust), "security.protocol"},
		{"plaintext to TLS", "mtls", "", "security.protocol"},
		{"TLS 1.3 alone", "only13", protoCfg(tlsTrust), ""},
		{"TLS 1.2 where 1.3 is wanted", "only13", protoCfg(tlsTrust + ";ssl.cipher.suites=ECDHE-ECDSA-AES128-GCM-SHA256"), ""}, // 1.3's suites are not touched
		{"TLS 1.3 as the least", "mtls", protoCfg(tlsClient) + "\ntls-min-version=1.3", ""},
		{"TLS 1.3 as the least, server of 1.2", "rsa12", protoCfg(tlsTrust) + "\ntls-min-version=1.3", "speaks no version of TLS"},
		{"SASL PLAIN", "sasl", protoCfg(saslTrust + ";sasl.mechanism=PLAIN;sasl.username=bob;sasl.password=correct horse"), ""},
		{"SASL PLAIN, password file", "sasl", protoCfg(saslTrust+";sasl.mechanism=PLAIN;sasl.username=bob") + "\nsasl-password-file=" + password, ""},
		{"SASL PLAIN, wrong password", "sasl", protoCfg(saslTrust + ";sasl.mechanism=PLAIN;sasl.username=bob;sasl.password=wrong battery"), "password"},
		{"SCRAM 256", "sasl", protoCfg(saslTrust+";sasl.mechanism=SCRAM-SHA-256;sasl.username=bob") + "\nsasl-password-file=" + password, ""},
		{"SCRAM 512", "sasl", protoCfg(saslTrust + ";sasl.mechanism=SCRAM-SHA-512;sasl.username=bob;sasl.password=correct horse"), ""},
		{"SCRAM 512, wrong password", "sasl", protoCfg(saslTrust + ";sasl.mechanism=SCRAM-SHA-512;sasl.username=bob;sasl.password=wrong battery"), "password"},
		{"SCRAM, unknown user", "sasl", protoCfg(saslTrust + ";sasl.mechanism=SCRAM-SHA-512;sasl.username=mallory;sasl.password=wrong battery"), "password"},
		{"mechanism that is off", "oauth", protoCfg(saslTrust + ";sasl.mechanism=PLAIN;sasl.username=bob;sasl.password=correct horse"), "mechanism"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := s.try(t, c.listener, "secured", c.config)
			if c.want == "" && got != "" || c.want != "" && !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			t.Logf("%s", got)
		})
	}
}

// testRealCiphers: each of the suites that DeepStream's documentation recommends, by either of its names.
func testRealCiphers(t *testing.T, s *securedServer) {
	for _, suite := range []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES256-GCM-SHA384"} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			right, wrong := "ec12", "rsa12"
			if strings.Contains(suite, "RSA_WITH") || strings.Contains(suite, "-RSA-") {
				right, wrong = wrong, right
			}
			if got := s.try(t, right, "secured", protoCfg(tlsTrust+";ssl.cipher.suites="+suite)); got != "" {
				t.Errorf("%s: %s", right, got)
			}
			if got := s.try(t, wrong, "secured", protoCfg(tlsTrust+";ssl.cipher.suites="+suite)); got == "" {
				t.Errorf("%s took a suite that does not fit its certificate", wrong)
			}
		})
	}
}

// testRealCodecs: what the server holds is compressed as asked for, written by an idempotent producer, and can be read.
func testRealCodecs(t *testing.T, s *securedServer) {
	for number, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			topic := "codec-" + codec
			r := adaptertest.NewRecorder()
			c := openConn(t, strings.Replace(s.plain, ":", ";", 1), writeFile(t, "codec.cfg", "[message-broker]\n"+protoCfg("compression.type="+codec)+"\n"), r)
			adaptertest.Send(t, c, batchOf(1, topic, 100, 1000))
			adaptertest.Wait(t, "100 results", func() bool { n, failed := r.Results(); return n == 100 && failed == 0 })
			client, err := kgo.NewClient(kgo.SeedBrokers(s.plain), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			for got := 0; got < 100; {
				f := client.PollFetches(ctx)
				if err := f.Err(); err != nil {
					t.Fatal(err)
				}
				f.EachRecord(func(rec *kgo.Record) {
					got++
					if rec.Attrs.CompressionType() != uint8(number) || rec.ProducerID < 0 || string(rec.Value) != strings.Repeat("x", 1000) {
						t.Errorf("record %d: codec %d, producer %d, %d bytes", got, rec.Attrs.CompressionType(), rec.ProducerID, len(rec.Value))
					}
				})
			}
		})
	}
}

// testRealOAuth: tokens from a token server of the test.
func testRealOAuth(t *testing.T, s *securedServer) {
	var mu sync.Mutex
	asked := 0
	part := func(v any) string {
		data, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		mu.Unlock()
		id, secret, _ := r.BasicAuth()
		if id != "camera" || secret != "oauth-secret-7" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		now := time.Now().Unix()
		token := part(map[string]any{"alg": "none"}) + "." +
			part(map[string]any{"sub": "camera", "iat": now, "exp": now + 3600, "scope": r.FormValue("scope")}) + "."
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, token)
	}))
	defer tokens.Close()
	options := saslTrust + ";sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc;sasl.oauthbearer.client.id=camera;" +
		"sasl.oauthbearer.scope=events;sasl.oauthbearer.token.endpoint.url=" + tokens.URL
	secret := writeFile(t, "secret", "oauth-secret-7")
	if got := s.try(t, "oauth", "secured", protoCfg(options)+"\nsasl-oauthbearer-client-secret-file="+secret); got != "" {
		t.Error(got)
	}
	if got := s.try(t, "oauth", "secured", protoCfg(options+";sasl.oauthbearer.client.secret=wrong battery")); got == "" {
		t.Error("a wrong secret was let in")
	}
	mu.Lock()
	defer mu.Unlock()
	if asked < 2 {
		t.Errorf("the token server was asked %d times", asked)
	}
}

// testRealACL: a user may write to one topic and not to another.
func testRealACL(t *testing.T, s *securedServer) {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.plain))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	create := kmsg.NewPtrCreateACLsRequest()
	for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationCreate} {
		a := kmsg.NewCreateACLsRequestCreation()
		a.ResourceType, a.ResourceName, a.ResourcePatternType = kmsg.ACLResourceTypeTopic, "alices", kmsg.ACLResourcePatternTypeLiteral
		a.Principal, a.Host, a.Operation, a.PermissionType = "User:alice", "*", op, kmsg.ACLPermissionTypeAllow
		create.Creations = append(create.Creations, a)
	}
	resp, err := create.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resp.Results {
		if r.ErrorCode != 0 {
			t.Fatalf("%+v", r)
		}
	}
	as := func(user, password string) string {
		return protoCfg(saslTrust + ";sasl.mechanism=PLAIN;sasl.username=" + user + ";sasl.password=" + password)
	}
	if got := s.try(t, "sasl", "alices", as("alice", "staple")); got != "" {
		t.Errorf("alice: %s", got)
	}
	got := s.try(t, "sasl", "alices", as("bob", "correct horse"))
	if !strings.Contains(got, "alices") || !strings.Contains(got, "does not allow this user to write") {
		t.Errorf("bob: %q", got)
	}
	t.Log(got)
	// Reading: nobody may, before the next rule.
	read := func(user, password string) *adaptertest.Collector {
		path := writeFile(t, "acl.cfg", "[message-broker]\n"+strings.ReplaceAll(as(user, password), "@", s.pki)+"\n")
		c := openConn(t, "127.0.0.1;"+s.ports[listenerPorts["sasl"]], path, adaptertest.NewRecorder())
		got := adaptertest.NewCollector()
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"alices"}, Group: "readers-" + user, FromStart: true}, got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	bob := read("bob", "correct horse")
	adaptertest.Wait(t, "bob's refusal", func() bool { return errors.Is(bob.Refused("alices"), adapters.ErrUnauthorized) })
	t.Log(bob.Refused("alices"))
	create.Creations = create.Creations[:1]
	create.Creations[0].Operation = kmsg.ACLOperationRead
	if _, err := create.RequestWith(ctx, client); err != nil {
		t.Fatal(err)
	}
	if m := read("alice", "staple").Wait(t, 1); m[0].Topic != "alices" {
		t.Errorf("%+v", m[0])
	}
	if bob.Count() != 0 {
		t.Error("bob has read")
	}
}

// testRealRenewal: certificates and passwords that are replaced are used without a stop, nothing is lost or
// doubled, and broken ones are left aside.
func testRealRenewal(t *testing.T, s *securedServer) {
	defer func(was time.Duration) { renewInterval = was }(renewInterval)
	renewInterval = 50 * time.Millisecond
	dir := t.TempDir()
	use := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(s.pki, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to+".new"), data, 0o600)
		}
		if err == nil {
			err = os.Rename(filepath.Join(dir, to+".new"), filepath.Join(dir, to))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	use("client-bundle.pem", "cert.pem")
	use("client-bundle.pem", "key.pem")
	path := writeFile(t, "kafka.cfg", "[message-broker]\n"+strings.ReplaceAll(protoCfg(tlsTrust+";ssl.certificate.location=#/cert.pem;ssl.key.location=#/key.pem"),
		"#", dir)+"\n")
	text, _ := os.ReadFile(path)
	_ = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "@", s.pki)), 0o600)
	var mu sync.Mutex
	var logs []string
	var reasons []string
	c, err := broker.Connect(broker.Options{ProtoLib: "kafka", ConnStr: "127.0.0.1;" + s.ports["PORT2"] + ";renewed", ConfigPath: path,
		Log:     func(e adapters.LogEntry) { mu.Lock(); logs = append(logs, e.Text); mu.Unlock() },
		OnState: func(c broker.StateChange) { mu.Lock(); reasons = append(reasons, c.Reason); mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	saw := func(list *[]string, what string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(*list, "\n"), what)
		}
	}
	n := 0
	publish := func(count int) {
		for range count {
			if err := c.Publish(broker.Message{Payload: fmt.Appendf(nil, "%d", n)}); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	publish(500)
	adaptertest.Wait(t, "acknowledgements", func() bool { return c.Stats().Acknowledged == 500 })
	use("ca.pem", "key.pem") // no key at all
	adaptertest.Wait(t, "a complaint", saw(&logs, "do not make a pair"))
	publish(500)
	adaptertest.Wait(t, "acknowledgements", func() bool { return c.Stats().Acknowledged == 1000 })
	if sessions := c.Stats().Sessions; sessions > 0 {
		t.Errorf("%d sessions for files that cannot be used", sessions)
	}
	use("client-other-ca-bundle.pem", "cert.pem")
	use("client-other-ca-bundle.pem", "key.pem")
	adaptertest.Wait(t, "the refusal of the new certificate", saw(&reasons, "does not accept the client's certificate"))
	publish(500)
	use("client-bundle.pem", "cert.pem")
	use("client-bundle.pem", "key.pem")
	adaptertest.Wait(t, "acknowledgements", func() bool { return c.Stats().Acknowledged == 1500 })
	if st := c.Stats(); st.Failed != 0 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	got := consume(t, s.plain, "renewed", 1500)
	for i, m := range got {
		if string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
	}
	if len(got) != 1500 {
		t.Errorf("%d messages", len(got))
	}
}
