package packet

// ShortenQueue makes captures that begin from now on lose packets early.
func ShortenQueue() { queue = 1 << 20 }
