package meta

import (
	"crypto/subtle"

	"shoal"
)

// SetPassword replaces the password of the user that the asking device acts for, and leaves all devices enrolled. The
// error's code is Denied: Was is not the hash that is there, be it that the password up to now was given wrong, for which
// Was is WrongPassword, or that it was changed meanwhile.
type SetPassword struct {
	Was      string // the hash that the password up to now was checked against
	Password string // the hash of the new one
}

// WrongPassword is the hash of no password.
const WrongPassword = "wrong"

func (m *SetPassword) check() error { return first(checkPassword(m.Was), checkPassword(m.Password)) }

// append adds nothing: passwords are not kept, nor anything that tells two of them apart.
func (m *SetPassword) append(b []byte) []byte { return b }

func (m *SetPassword) decide(t *transaction) error {
	actor, err := t.actor()
	if err != nil {
		return err
	}
	u := &User{Name: actor}
	if !t.load(u) || subtle.ConstantTimeCompare([]byte(u.Password), []byte(m.Was)) == 0 {
		return shoal.Errorf(shoal.Denied, "the password up to now is wrong; nothing was changed")
	}
	u.Password = m.Password
	t.put(u)
	return nil
}
