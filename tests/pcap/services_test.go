package pcap

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
	"shoal/rpclog/sender"
	logservice "shoal/rpclog/service"
	"shoal/soap"
	soapservice "shoal/soap/service"
	"shoal/tests/netns"
)

// What is said to the log and enrichment services, and what they say, tshark takes for ONC RPC and SOAP, and finds
// nothing wrong with.
func TestServices(t *testing.T) {
	if !netns.Isolate(t) {
		return
	}
	logs := startLog(t)
	enrichment := startSoap(t)
	c := startCapture(t)
	talkToLog(t, logs)
	talkToSoap(t, enrichment)
	c.stop()

	packets := c.decode("frame.protocols", "ip.proto", "_ws.malformed", "_ws.expert.severity", "rpc.msgtyp", "rpc.xid", "rpc.program",
		"rpc.procedure", "rpc.state_accept", "rpc.auth.flavor", "rpc.fraglen", "http.response.code", "xml.tag")
	for _, p := range packets {
		if p["_ws.malformed"] != nil || p.has("_ws.expert.severity", expertError) {
			t.Errorf("tshark finds fault with %v", p)
		}
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q where %q was expected", what, got, want)
		}
	}
	expect("programs", column(packets, "rpc.program"), strconv.Itoa(rpclog.Program))
	for name, number := range map[string]string{"TCP": "6", "UDP": "17"} {
		call, reply := []string{"ip.proto", number, "rpc.msgtyp", "0"}, []string{"ip.proto", number, "rpc.msgtyp", "1"}
		expect("replies over "+name, column(packets, "rpc.xid", reply...), column(packets, "rpc.xid", call...)...)
		expect("procedures over "+name, column(packets, "rpc.procedure", call...), "0", "1", "2", "9")
		expect("outcomes over "+name, column(packets, "rpc.state_accept", reply...), "0", "3", "4")
		expect("credentials over "+name, column(packets, "rpc.auth.flavor", call...), "0", "1")
	}
	if !slices.ContainsFunc(column(packets, "rpc.fraglen"), func(length string) bool { return len(length) > 5 }) {
		t.Error("no batch was larger than a segment")
	}
	expect("answers by HTTP", column(packets, "http.response.code"), "200", "500")
	tags := strings.Join(column(packets, "xml.tag"), " ")
	for _, tag := range []string{"Envelope", "Stamp", "StampResponse", "Enrich", "EnrichResponse", "Fault", "definitions"} {
		if !strings.Contains(tags, tag) {
			t.Errorf("tshark saw no %s in %q", tag, tags)
		}
	}
	agree(t, c, packets)
}

// agree holds our own report of a capture against what tshark found in it.
func agree(t *testing.T, c *capture, packets []decoded) {
	t.Helper()
	found, err := Analysis{}.File(c.path)
	must(t, err)
	count := map[string]int{}
	for _, k := range found.Kinds {
		if k.Replies != k.Requests || k.P50 <= 0 {
			t.Errorf("%+v", *k)
		}
		count[string(k.Dialect)] += k.Requests
		count[k.Name] += k.Requests
		count[string(k.Dialect)+" errors"] += k.Errors
	}
	calls := len(column(packets, "rpc.xid", "ip.proto", "6", "rpc.msgtyp", "0")) + len(column(packets, "rpc.xid", "ip.proto", "17", "rpc.msgtyp", "0"))
	if count["rpc"] != calls || count["rpc errors"] != 4 || count["NULL"] != 4 || count["STATS"] != 2 {
		t.Errorf("of %d calls these were seen: %v", calls, count)
	}
	if count["SOAP Stamp"] != 1 || count["SOAP Enrich"] != 1 || count["GET"] != 1 || count["SOAP"] != 1 || count["http errors"] != 1 {
		t.Errorf("over HTTP there was %v", count)
	}
	if !found.Clean() || len(found.Gaps) > 0 || found.Capture.Dropped > 0 {
		t.Errorf("%+v, %v, %v", found.Capture, found.Gaps, found.Violations)
	}
}

// expertError is how tshark says that something in a packet cannot be right.
const expertError = "8388608"

// running runs a service until the test ends.
func running(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
}

func startLog(t *testing.T) *logservice.Service {
	s, err := logservice.New(logservice.Config{Listen: "127.0.0.1:0", State: t.TempDir(), Log: zerolog.Nop()})
	must(t, err)
	running(t, s.Run)
	return s
}

func startSoap(t *testing.T) string {
	s, err := soapservice.New(soapservice.Config{Listen: "127.0.0.1:0", State: t.TempDir(), Log: zerolog.Nop()})
	must(t, err)
	running(t, s.Run)
	return s.URL()
}

// talkToLog logs by a sender, and calls everything there is and is not, over both transports.
func talkToLog(t *testing.T, s *logservice.Service) {
	key, err := rpclog.LoadKey(s.KeyFile())
	must(t, err)
	w, err := sender.Open(sender.Config{Service: s.Addr().String(), Key: key, Log: zerolog.Nop()})
	must(t, err)
	log := zerolog.New(w)
	for i := range 2000 {
		log.Info().Int("i", i).Str(rpclog.KeyObject, "an object with a name of some length, so that a batch fills many segments").Msg("captured")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, w.Close(ctx))
	if counts := w.Counts(); counts.Stored != counts.Sent {
		t.Errorf("not all was stored: %+v", counts)
	}
	batch := rpclog.Seal(rpclog.Sender{Process: 1}, 1, true, 1, rpclog.AppendEntry(nil, &rpclog.Entry{Message: "unverified"}), nil)
	for _, network := range []string{"tcp", "udp"} {
		c, err := oncrpc.Dial(ctx, oncrpc.Target{
			Network: network, Address: s.Addr().String(), Program: rpclog.Program, Version: rpclog.Version,
			Sys: &oncrpc.AuthSys{Machine: "here", UID: 1000, GID: 1000, GIDs: []uint32{4, 24}},
		})
		must(t, err)
		for _, call := range []struct {
			procedure uint32
			args      []byte
			fails     bool
		}{{rpclog.ProcNull, nil, false}, {rpclog.ProcAppend, batch, false}, {rpclog.ProcStats, nil, false}, {rpclog.ProcAppend, batch[:40], true}, {9, nil, true}} {
			_, err := c.Call(ctx, call.procedure, call.args)
			if refused := new(oncrpc.AcceptError); call.fails != errors.As(err, &refused) || !call.fails && err != nil {
				t.Errorf("procedure %d over %s: %v", call.procedure, network, err)
			}
		}
		must(t, c.Close())
		plain, err := oncrpc.Dial(ctx, oncrpc.Target{Network: network, Address: s.Addr().String(), Program: rpclog.Program, Version: rpclog.Version})
		must(t, err)
		_, err = plain.Call(ctx, rpclog.ProcNull, nil)
		must(t, err)
		must(t, plain.Close())
	}
}

// talkToSoap asks for everything, right and wrong.
func talkToSoap(t *testing.T, url string) {
	c, err := soap.NewClient(url, nil)
	must(t, err)
	defer c.Close()
	_, err = c.Stamp(t.Context(), 7)
	must(t, err)
	_, err = c.Enrich(t.Context(), "a.txt", 5, []byte("hello"))
	must(t, err)
	transport := &http.Transport{DialContext: new(net.Dialer).DialContext}
	defer transport.CloseIdleConnections()
	browser := http.Client{Transport: transport}
	for _, ask := range []func() (*http.Response, error){
		func() (*http.Response, error) { return browser.Get(url + "?wsdl") },
		func() (*http.Response, error) {
			return browser.Post(url, "text/xml", strings.NewReader(`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Unknown xmlns="`+soap.Namespace+`"/></Body></Envelope>`))
		},
	} {
		reply, err := ask()
		must(t, err)
		_, err = io.Copy(io.Discard, reply.Body) // tshark wants the whole document
		must(t, errors.Join(err, reply.Body.Close()))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
