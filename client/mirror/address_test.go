package mirror

import (
	"bytes"
	"net/http"
	"net/netip"
	"testing"

	"shoal"
)

// Addresses of private networks are refused, in every form, and those of one link whatever the server allows.
func TestAddresses(t *testing.T) {
	const public, private, never = 0, 1, 2
	for sort, all := range map[int][]string{
		public: {
			"1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1", "223.255.255.255",
			"2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
		},
		private: {
			"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255", "198.18.0.1",
			"192.0.2.1", "198.51.100.1", "203.0.113.1", "::1", "fc00::1", "fd12:3456::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
			"64:ff9b::7f00:1", "64:ff9b::a00:1",
		},
		never: {
			"0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.88.99.1", "::",
			"fe80::1", "fe80::1%lo", "febf::1", "ff02::1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001::1", "::127.0.0.1",
			"100::1", "5f00::1", "fec0::1", "64:ff9b:1::a00:1", "2000::1%x",
		},
	} {
		for _, text := range all {
			a := netip.MustParseAddr(text)
			for _, allowed := range []bool{false, true} {
				s := &Source{URL: "http://example.com", Private: allowed}
				refused := s.control("tcp", netip.AddrPortFrom(a, 80).String(), nil) != nil
				if want := sort == never || sort == private && !allowed; refused != want {
					t.Errorf("%v, private ones allowed: %v: refused: %v", a, allowed, refused)
				}
			}
		}
	}
	if (&Source{}).control("tcp", "example.com:80", nil) == nil {
		t.Error("a name was taken for an address")
	}
}

// What a name stands for, and where a redirect leads, is looked at when it is connected to.
func TestPrivateAddressesAreRefused(t *testing.T) {
	asked := 0
	s := newSite(t, random(100), func(http.ResponseWriter, *http.Request) bool {
		asked++
		return false
	})
	for _, url := range []shoal.Mirror{s.source().URL, "http://localhost:" + shoal.Mirror(s.URL[bytes.LastIndexByte([]byte(s.URL), ':')+1:])} {
		src := &Source{URL: url, Object: objectOf(s.content)}
		_, err := src.Open(t.Context())
		wantCode(t, err, shoal.Denied, "--private-mirrors")
	}
	if asked > 0 {
		t.Errorf("it was asked %d times", asked)
	}
	// Allowed to be private, it leads to where nobody may be led.
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
		return true
	}
	_, err := s.source().Open(t.Context())
	wantCode(t, err, shoal.Denied, "169.254.169.254")
}

// The environment has no say in where a mirror is.
func TestNoProxy(t *testing.T) {
	proxied := 0
	proxy := newSite(t, nil, func(http.ResponseWriter, *http.Request) bool {
		proxied++
		return false
	})
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	if (&Source{}).transport().Proxy != nil {
		t.Error("there is a proxy")
	}
	s := newSite(t, random(100), nil)
	if k := fetch(t, s.source(), []extent{{0, 0, 100}}); !bytes.Equal(k.got, s.content) || proxied > 0 {
		t.Errorf("by the proxy %d times: %v", proxied, k.errs)
	}
}
