package tracker

// Connected reports whether there is a connection to the server at this moment.
func (t *Tracker) Connected() bool { return t.current() != nil }
