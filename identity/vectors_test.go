package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"strconv"
	"testing"

	"shoal/wire"
	"shoal/wire/vectors"
)

// The transcripts of the protocol's vectors were encoded and signed by code that is not ours.
func TestTranscriptVectors(t *testing.T) {
	var all vectors.Statements
	if err := vectors.Load(os.DirFS("../wire/testdata/vectors"), vectors.StatementsFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Transcripts) < 4 {
		t.Fatalf("%d vectors; there were more", len(all.Transcripts))
	}
	for _, v := range all.Transcripts {
		number := func(name string) uint32 { return uint32(v.Fields[name].(float64)) }
		text := func(name string) string { return v.Fields[name].(string) }
		data := func(name string) []byte {
			b, err := hex.DecodeString(text(name))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		now, err := strconv.ParseInt(text("now"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		said := transcript{
			hello: wire.Hello{
				Version: number("protocol"), Wanted: wire.Service(number("wanted")), Secured: wire.Security(number("secured")),
				Random: wire.Nonce(data("initiator_random")), Device: [32]byte(data("initiator")),
			},
			random: wire.Nonce(data("responder_random")), identity: [32]byte(data("responder")), now: now, binding: data("binding"),
		}
		context := text("context")
		if context != initiatorContext && context != responderContext {
			t.Errorf("%s: nobody signs with the context %q", v.Name, context)
		}
		message := said.message(context)
		if !bytes.Equal(message, v.Transcript) {
			t.Errorf("%s: the transcript is\n%x, not\n%x", v.Name, message, v.Transcript)
		}
		key := wrapKey(ed25519.NewKeyFromSeed(v.Seed))
		if proof := key.sign(message); !bytes.Equal(proof[:], v.Proof) {
			t.Errorf("%s: the proof is %x, not %x", v.Name, proof, v.Proof)
		}
	}
}
