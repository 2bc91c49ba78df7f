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

// Format implements fmt.Formatter: with a verb that does not fit a pointer, package fmt would ask none of the fields how
// they are to be shown.
func (m Register) Format(s fmt.State, verb rune) {
	type register Register
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), register(m))
}

// Format implements fmt.Formatter, as that of Register does.
func (m Login) Format(s fmt.State, verb rune) {
	type login Login
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), login(m))
}

// Format implements fmt.Formatter, as that of Register does.
func (m PasswordChange) Format(s fmt.State, verb rune) {
	type change PasswordChange
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), change(m))
}
