package passwords

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"shoal"
)

// What hashes are made with today (the OWASP recommendation for argon2id).
const (
	memory     = 19 << 10 // KiB
	passes     = 2
	lanes      = 1
	saltLength = 16 // bytes
	keyLength  = 32 // bytes
)

// What a stored hash may ask for: a damaged one must not take the machine down.
const (
	maxMemory = 64 << 10 // KiB
	maxPasses = 8
	maxLanes  = 4
	maxStored = 256 // characters
)

// params are a hash, and what it was made with.
type params struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
	salt   []byte
	key    []byte
}

// current are today's parameters with a fresh salt.
func current() params {
	p := params{memory: memory, passes: passes, lanes: lanes, salt: make([]byte, saltLength)}
	_, _ = rand.Read(p.salt) // never fails
	return p
}

func (p params) isCurrent() bool {
	return p.memory == memory && p.passes == passes && p.lanes == lanes && len(p.salt) == saltLength && len(p.key) == keyLength
}

func argon2id(password []byte, p params) (key []byte) {
	n := uint32(len(p.key))
	if n == 0 {
		n = keyLength
	}
	aside(func() { key = argon2.IDKey(password, p.salt, p.passes, p.memory, p.lanes, n) })
	return key
}

// phcBase64 is the "B64" of the PHC string format.
var phcBase64 = base64.RawStdEncoding.Strict()

// String is the hash in the PHC string format: $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH.
func (p params) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes,
		phcBase64.EncodeToString(p.salt), phcBase64.EncodeToString(p.key))
}

// parse is the inverse of String, for any parameters within bounds. The error has code Corrupt, and does not tell what
// is stored.
func parse(stored string) (p params, err error) {
	corrupt := func(what string) (params, error) {
		return params{}, shoal.Errorf(shoal.Corrupt, "the stored hash of a password is damaged: %s", what)
	}
	if len(stored) > maxStored {
		return corrupt("it is too long")
	}
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return corrupt("it is not of argon2id, version 19")
	}
	m, rest, _ := strings.Cut(parts[3], ",")
	t, l, _ := strings.Cut(rest, ",")
	p.memory, err = parameter(m, "m=", maxMemory)
	if err == nil {
		p.passes, err = parameter(t, "t=", maxPasses)
	}
	var lanes uint32
	if err == nil {
		lanes, err = parameter(l, "p=", maxLanes)
		p.lanes = uint8(lanes)
	}
	if err != nil || p.memory < 8*lanes {
		return corrupt("its parameters are out of bounds")
	}
	if p.salt, err = phcBase64.DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return corrupt("its salt is not 8 to 64 bytes of base64")
	}
	if p.key, err = phcBase64.DecodeString(parts[5]); err != nil || len(p.key) < 16 || len(p.key) > 64 {
		return corrupt("its value is not 16 to 64 bytes of base64")
	}
	if p.String() != stored {
		return corrupt("it is not in its canonical form")
	}
	return p, nil
}

func parameter(text, name string, limit uint32) (uint32, error) {
	digits, found := strings.CutPrefix(text, name)
	n, err := strconv.ParseUint(digits, 10, 32)
	if !found || err != nil || n < 1 || n > uint64(limit) {
		return 0, fmt.Errorf("%q is not a parameter %s up to %d", text, name, limit)
	}
	return uint32(n), nil
}
