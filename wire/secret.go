package wire

import (
	"fmt"
	"io"
)

// Secret is a password or a code. It shows itself to nobody who prints, formats, logs or marshals it, alone or as part
// of a message; only converting it to []byte gives it away. What was decoded aliases the frame's body, so that clearing
// it there clears the only copy of it that this package knows of.
type Secret []byte

const hidden = "(secret)"

// Format implements fmt.Formatter: whatever the verb is.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
