package dissector

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shoal/wire/spec"
	"shoal/wire/vectors"
)

// documents is loaded once.
var documents = func() *spec.Spec {
	s, err := spec.Load(os.DirFS("../../../wire"))
	if err != nil {
		panic(err)
	}
	return s
}()

func TestDissectorIsCurrent(t *testing.T) {
	want, err := Generate(documents)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("../shoal.lua"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("shoal.lua is not what go generate ./tests/pcap/dissector makes (%v)", err)
	}
}

// textFields are the names of the fields of text and bytes.
var textFields = func() map[string]bool {
	all := map[string]bool{"shoal.data": true}
	for name, t := range documents.Types {
		for _, f := range t.Fields {
			one := f.Type
			if one.Class == spec.Array {
				one = one.Elem
			}
			all["shoal."+name+"."+f.Name] = slices.Contains([]spec.Class{spec.String, spec.Opaque, spec.Fixed}, one.Class)
		}
	}
	return all
}()

func isText(name string) bool { return textFields[name] }

// sent is a frame in the capture, with what is to be seen of it.
type sent struct {
	name   string
	from   side
	frame  []byte
	fields shown // of the body
	packet int   // that it ends in, from 1 on
	other  *sent // of a request its reply, of a reply its request
}

// Every kind of frame, with all sorts of values, is shown with the values it has.
func TestFields(t *testing.T) {
	t.Parallel()
	const seed, rounds = 20260301, 140
	m := &maker{T: t, Rand: rand.New(rand.NewPCG(seed, 1)), spec: documents, chains: map[string][]any{}}
	path := filepath.Join(t.TempDir(), "all.pcap")
	r := newRecorder(t, m.Rand, path)
	var all []*sent
	say := func(s *sent) {
		all = append(all, s)
		r.send(s.from, s.frame, &s.packet)
	}
	id := uint32(0)
	for range rounds {
		r.connect()
		for _, k := range documents.Kinds {
			id++
			for _, s := range m.exchange(k, id) {
				say(s)
			}
		}
	}
	for _, s := range m.vectors() {
		r.connect()
		say(s)
	}
	r.close()

	got := tshark(t, "-r", path)
	for i, s := range all[:min(len(all), len(got))] {
		if m.compare(s, got[i]); t.Failed() {
			return
		}
	}
	if len(got) != len(all) || len(all) < 10_000 {
		t.Fatalf("tshark sees %d frames where %d were sent", len(got), len(all))
	}
	t.Logf("%d frames in %d packets", len(all), r.packets)
}

// exchange makes frames of a kind: an event, or a request and its reply, which may be an error.
func (m *maker) exchange(k spec.Kind, id uint32) []*sent {
	if k.Event() {
		return []*sent{m.frame(k, side(m.IntN(2)), 0, 0, k.Request)}
	}
	request := m.frame(k, initiator, 0, id, k.Request)
	reply := m.frame(k, responder, 1, id, k.Reply)
	failed := m.frame(k, responder, 3, id, "error_reply")
	request.other, reply.other = reply, request
	if m.IntN(3) == 0 {
		request.other, failed.other = failed, request
		return []*sent{request, failed}
	}
	return []*sent{request, reply}
}

// frame makes one with a random body.
func (m *maker) frame(k spec.Kind, from side, flags uint16, id uint32, typ string) *sent {
	limit := map[uint16]uint64{0: k.RequestLimit, 1: k.ReplyLimit, 3: documents.ErrorLimit}[flags]
	s := &sent{name: fmt.Sprintf("%s %d %d", k.Name, flags, id), from: from}
	var body []byte
	for t := documents.Types[typ]; t != nil; {
		v := m.structure(t)
		e, err := spec.Encode(t, v)
		if err != nil {
			m.Fatal(err)
		}
		if body = e.Bytes; uint64(len(body)) <= limit {
			s.fields = m.expect(nil, t, v)
			break
		}
	}
	if typ == "piece_head" {
		data := m.bytes(m.IntN(1 << m.IntN(15)))
		raw, _ := hex.DecodeString(data) // made as such
		body = append(body, raw...)
		s.fields = withData(s.fields, data)
	}
	h := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	h = binary.BigEndian.AppendUint16(h, uint16(k.Number))
	h = binary.BigEndian.AppendUint16(h, flags)
	s.frame = append(binary.BigEndian.AppendUint32(h, id), body...)
	return s
}

func withData(fields shown, data string) shown {
	if data == "" {
		return fields
	}
	return append(fields, field{"shoal.data", data})
}

// vectors are the frames of the protocol's test vectors.
func (m *maker) vectors() (all []*sent) {
	var frames []vectors.Frame
	if err := vectors.Load(os.DirFS("../../../wire/testdata/vectors"), vectors.FramesFile, &frames); err != nil {
		m.Fatal(err)
	}
	for _, f := range frames {
		s := &sent{name: f.Name, frame: f.Frame.Expand()}
		if f.Flags != 0 {
			s.from = responder
		}
		if t := documents.Types[f.Type]; t != nil {
			s.fields = withData(m.expect(nil, t, f.Fields), hex.EncodeToString(f.Data.Expand()))
		}
		all = append(all, s)
	}
	return all
}

// In what Shoal itself has said there is nothing wrong, and all that is signed is opened.
func TestSample(t *testing.T) {
	t.Parallel()
	frames := tshark(t, "-r", "../testdata/plaintext.pcapng.gz")
	tickets := 0
	for _, s := range frames {
		for _, wrong := range []string{"shoal.malformed", "shoal.unanswerable", "shoal.undecoded"} {
			if s.has(wrong) {
				t.Errorf("%s: %v", wrong, s)
			}
		}
		if s.has("shoal.ticket.group") {
			tickets++
		}
	}
	if len(frames) < 300 || tickets == 0 {
		t.Errorf("there are %d frames, %d of them with a ticket", len(frames), tickets)
	}
}

// What must be refused because of its form is marked as malformed, by the rule that is broken.
func TestMalformed(t *testing.T) {
	t.Parallel()
	var refused []vectors.Refused
	if err := vectors.Load(os.DirFS("../../../wire/testdata/vectors"), vectors.RefusedFile, &refused); err != nil {
		t.Fatal(err)
	}
	rules := []string{"F1", "F2", "F3", "F5", "X1", "X2"}
	refused = slices.DeleteFunc(refused, func(v vectors.Refused) bool { return !slices.Contains(rules, v.Rule) })
	path := filepath.Join(t.TempDir(), "malformed.pcap")
	r := newRecorder(t, rand.New(rand.NewPCG(1, 2)), path)
	r.uncut = true
	ping, packet := []byte{0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1}, 0
	for _, v := range refused {
		r.connect()
		r.send(initiator, ping, &packet)
		r.flush()
		r.send(initiator, v.Frame.Expand(), &packet)
	}
	r.close()
	got := tshark(t, "-r", path)
	if len(got) != 2*len(refused) || len(refused) < 1000 {
		t.Fatalf("tshark sees %d frames where %d were sent", len(got), 2*len(refused))
	}
	for i, v := range refused {
		if got[2*i].has("shoal.malformed") {
			t.Errorf("a PING is taken for malformed: %v", got[2*i])
		}
		broken := "(rule " + v.Rule
		if v.Rule == "X2" {
			broken = "(rule X" // what is longer than what is there: so there is less than there should be
		}
		bad := got[2*i+1]
		if !bad.has("shoal.malformed") || !slices.ContainsFunc(bad, func(f field) bool { return f.name == "_ws.expert.message" && strings.Contains(f.value, broken) }) {
			t.Errorf("%s, against rule %s, is shown as %.300v", v.Name, v.Rule, bad)
		}
	}
}

// A reply to nothing is marked, where the capture has all that was said before.
func TestUnanswerable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "unanswerable.pcap")
	r := newRecorder(t, rand.New(rand.NewPCG(1, 3)), path)
	m := &maker{T: t, Rand: r.random, spec: documents, chains: map[string][]any{}}
	packet := 0
	hello, ping := m.exchange(documents.Kinds[0], 1), m.exchange(documents.Kinds[2], 2)
	for _, whole := range []bool{false, true} {
		r.connect()
		if whole {
			r.send(initiator, hello[0].frame, &packet)
			r.send(responder, hello[1].frame, &packet)
		}
		r.send(initiator, ping[0].frame, &packet)
		for range 2 {
			r.send(responder, ping[1].frame, &packet)
		}
	}
	r.close()
	var marked []int
	for i, s := range tshark(t, "-r", path) {
		if s.has("shoal.unanswerable") {
			marked = append(marked, i)
		}
	}
	if !slices.Equal(marked, []int{7}) {
		t.Errorf("frames %v are marked", marked)
	}
}
