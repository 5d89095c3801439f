// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"fmt"
	"testing"
)

// RFC 3711 appendix B.3 and RFC 6188 section 7.2.
func TestKeyDerivationVectors(t *testing.T) {
	for _, v := range []struct{ name, key, salt, cipher, sessionSalt, auth string }{
		{"RFC 3711 B.3", "E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6",
			"C61E7A93744F39EE10734AFE3FF7A087", "30CBBC08863D8C85D49DB34A9AE1",
			`CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
			 E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
			 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2`},
		{"RFC 6188 7.2", "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6", "3b04803de51ee7c96423ab5b78d2",
			"5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4", "fa31791685ca444a9e07c6c64e93",
			"fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"},
	} {
		t.Run(v.name, func(t *testing.T) {
			k, err := newKDF(unhex(t, v.key), unhex(t, v.salt))
			if err != nil {
				t.Fatal(err)
			}
			for label, want := range map[byte]string{labelRTPCipher: v.cipher, labelRTPAuth: v.auth, labelRTPSalt: v.sessionSalt} {
				w := unhex(t, want)
				if got := k.derive(label, len(w)); !bytes.Equal(got, w) {
					t.Errorf("label %d: got %x, want %x", label, got, w)
				}
			}
		})
	}
}

// RFC 3711 appendix B.2 and RFC 6188 section 7.1: the first and the last blocks of a whole keystream, SSRC
// and index 0, through the session's own counter.
func TestCounterModeVectors(t *testing.T) {
	const salt = "F0F1F2F3F4F5F6F7F8F9FAFBFCFD"
	for _, v := range []struct {
		name        string
		cipher      Cipher
		key         string
		first, last string
	}{
		{"RFC 3711 B.2", CipherAES128ICM, "2B7E151628AED2A6ABF7158809CF4F3C",
			"E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0",
			"EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44"},
		{"RFC 6188 7.1", CipherAES256ICM, "57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98",
			"92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31",
			"cea518c90fd91ced9cbb18c078a54711 3dbc4814f4da5f00a08772b63c6a046d 6eb246913062a16891433e97dd01a57f"},
	} {
		for _, fast := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/fast=%v", v.name, fast), func(t *testing.T) {
				s, err := newSession(v.cipher, AuthNull, unhex(t, v.key), unhex(t, salt), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !fast {
					s.cm = slowKeystream(unhex(t, v.key))
				}
				stream := make([]byte, 0xff02*16)
				s.crypt(stream, stream, 0, 0, 0, true)
				if want := unhex(t, v.first); !bytes.Equal(stream[:48], want) {
					t.Errorf("blocks 0 to 2: got %x, want %x", stream[:48], want)
				}
				if want := unhex(t, v.last); !bytes.Equal(stream[0xfeff*16:], want) {
					t.Errorf("blocks feff to ff01: got %x, want %x", stream[0xfeff*16:], want)
				}
			})
		}
	}
}

const (
	gcmVectorSalt = "517569642070726f2071756f"
	gcmVectorKey  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

// withSessionKeys makes both ends from session keys, as RFC 7714 gives them.
func withSessionKeys(t *testing.T, p Policy, key, salt, authKey []byte) (*Sender, *Receiver) {
	t.Helper()
	s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
	for _, to := range []**session{&s.rtp, &s.rtcp, &r.rtp, &r.rtcp} {
		var err error
		if *to, err = newSession(p.RTPCipher, p.RTPAuth, key, salt, authKey); err != nil {
			t.Fatal(err)
		}
	}
	return s, r
}

// RFC 7714 section 16: SRTP.
func TestGCMVectorsRTP(t *testing.T) {
	plain := unhex(t, `8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070
		61727465 73207472 6573`)
	for _, v := range []struct {
		name    string
		profile Profile
		want    string
	}{
		{"16.1.1 and 16.1.2", AEADAES128GCM, `8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
			0d294e6f 42a5f47a 51c7d19b 36de3adf 8833 899d7f27 beb16a91 52cf765e e4390cce`},
		{"16.2.1 and 16.2.2", AEADAES256GCM, `8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
			9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b 7aa3db36 dfffd6b0 f9bb7878 d7a76c13`},
	} {
		t.Run(v.name, func(t *testing.T) {
			s, r := withSessionKeys(t, v.profile.Policy(), unhex(t, gcmVectorKey)[:v.profile.KeyLen()], unhex(t, gcmVectorSalt), nil)
			want := unhex(t, v.want)
			if got := protectRTP(t, s, plain); !bytes.Equal(got, want) {
				t.Errorf("protected: got %x, want %x", got, want)
			}
			if got, err := unprotectRTP(t, r, want); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("unprotected: got %x, %v; want %x", got, err, plain)
			}
		})
	}
}

// RFC 7714 section 17: SRTCP, encrypted, and authenticated only.
func TestGCMVectorsRTCP(t *testing.T) {
	plain := unhex(t, `81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef
		deadbeef deadbeef deadbeef`)
	for _, v := range []struct {
		name      string
		profile   Profile
		encrypted bool
		want      string
	}{
		{"17.1", AEADAES128GCM, true, `81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
			c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4`},
		{"17.2", AEADAES256GCM, true, `81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
			a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4`},
		{"17.3", AEADAES128GCM, false, `81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
			deadbeef deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4`},
		{"17.4", AEADAES256GCM, false, `81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
			deadbeef deadbeef deadbeef deadbeef deadbeef 91db4afb feee5a97 8fab4393 ed2615fe 000005d4`},
	} {
		t.Run(v.name, func(t *testing.T) {
			s, r := withSessionKeys(t, v.profile.Policy(), unhex(t, gcmVectorKey)[:v.profile.KeyLen()], unhex(t, gcmVectorSalt), nil)
			want := unhex(t, v.want)
			if v.encrypted { // a sender always encrypts
				st, err := s.stream(rtcpSSRC(plain))
				if err != nil {
					t.Fatal(err)
				}
				st.nextRTCP = 0x5d4
				if got := protectRTCP(t, s, plain); !bytes.Equal(got, want) {
					t.Errorf("protected: got %x, want %x", got, want)
				}
			}
			if got, err := unprotectRTCP(t, r, want); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("unprotected: got %x, %v; want %x", got, err, plain)
			}
			bad := bytes.Clone(want)
			bad[len(bad)-4] ^= 0x80 // the E flag is authenticated
			if _, err := unprotectRTCP(t, r, bad); err == nil {
				t.Error("accepted with the E flag turned")
			}
		})
	}
}

// The reference packets that are in wide use for AES-CM-128 with HMAC-SHA1-80 and for GCM-128, from master
// keys. The SRTCP one has index 1.
func TestReferencePackets(t *testing.T) {
	rtp := unhex(t, "800f1234decafbadcafebabe abababababababababababababababab")
	rtcp := unhex(t, "81c8000bcafebabe abababababababababababababababab")
	for _, v := range []struct {
		profile         Profile
		key, srtp, rtcp string
	}{
		{AES128CMHMACSHA1_80, "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6",
			"800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
			"81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798"},
		{AEADAES128GCM, "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab",
			"800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392", ""},
	} {
		t.Run(v.profile.String(), func(t *testing.T) {
			p, key := v.profile.Policy(), unhex(t, v.key)
			s, r := mustSender(t, p, key, Options{}), mustReceiver(t, p, key, Options{})
			if got, want := protectRTP(t, s, rtp), unhex(t, v.srtp); !bytes.Equal(got, want) {
				t.Errorf("SRTP: got %x, want %x", got, want)
			}
			if got, err := unprotectRTP(t, r, unhex(t, v.srtp)); err != nil || !bytes.Equal(got, rtp) {
				t.Errorf("RTP: got %x, %v", got, err)
			}
			if v.rtcp == "" {
				return
			}
			if first := protectRTCP(t, s, rtcp); !bytes.Equal(first[24:28], []byte{0x80, 0, 0, 0}) {
				t.Errorf("the first SRTCP index is %x, want E and 0 (RFC 3711 section 3.4)", first[24:28])
			}
			if got, want := protectRTCP(t, s, rtcp), unhex(t, v.rtcp); !bytes.Equal(got, want) {
				t.Errorf("SRTCP: got %x, want %x", got, want)
			}
			if got, err := unprotectRTCP(t, r, unhex(t, v.rtcp)); err != nil || !bytes.Equal(got, rtcp) {
				t.Errorf("RTCP: got %x, %v", got, err)
			}
		})
	}
}

// The fast paths must be in use on the toolchain that this is built with, or it is several times slower.
func TestFastPathsInUse(t *testing.T) {
	p := AES128CMHMACSHA1_80.Policy()
	s := mustSender(t, p, testKey(p), Options{})
	if s.rtp.cm.stream == nil {
		t.Error("cipher.NewCTR's stream cannot be reset any more: counterFields must learn this Go's layout. " +
			"Results are right, but 1200 bytes take about 350 ns longer")
	}
	if s.rtp.mac.plain != nil {
		t.Error("crypto/sha1's state cannot be read any more: mac.go must learn this Go's encoding. " +
			"Results are right, but a packet takes about 50 ns longer")
	}
}
