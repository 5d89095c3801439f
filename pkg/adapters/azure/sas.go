// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// A signer makes the signature of a token: HMAC-SHA256 with a key that it does not give away.
type signer func(ctx context.Context, text string) ([]byte, error)

func keySigner(key []byte) signer {
	return func(_ context.Context, text string) ([]byte, error) {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(text))
		return mac.Sum(nil), nil
	}
}

// token makes a shared access signature for a resource, valid until expiry: "Control access to IoT Hub
// using shared access signatures" in Microsoft's documentation.
func token(ctx context.Context, resource, policy string, expiry time.Time, sign signer) (string, error) {
	encoded := string(appendEscaped(nil, resource))
	end := strconv.FormatInt(expiry.Unix(), 10)
	sig, err := sign(ctx, encoded+"\n"+end)
	if err != nil {
		return "", err
	}
	t := "SharedAccessSignature sr=" + encoded + "&sig=" + string(appendEscaped(nil, base64.StdEncoding.EncodeToString(sig))) + "&se=" + end
	if policy != "" {
		t += "&skn=" + string(appendEscaped(nil, policy))
	}
	return t, nil
}

// appendEscaped appends text with everything but RFC 3986's unreserved characters percent-encoded.
func appendEscaped[T string | []byte](b []byte, text T) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
