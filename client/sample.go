package client

import (
	"shoal"
	"shoal/client/store"
	"shoal/client/tracker"
)

// Sampling says whether a publisher gives a file's beginning away, so that the server can tell what it is.
type Sampling bool

// Without a sample, all that is told of a file is guessed from its name.
const (
	NoSample   Sampling = false
	WithSample Sampling = true
)

// head is the beginning of a file that is published, or nothing where it cannot be read as it was published.
func (c *Client) head(file *store.File) []byte {
	head, err := file.Head(shoal.MaxHead)
	if err != nil {
		c.config.Log.Debug().Err(err).Msg("publishing without a sample")
	}
	return head
}

// sample is how the beginning of a served file is read whenever it is published; nil where it is withheld.
func (d *Daemon) sample(swarm shoal.Swarm, sampling Sampling) tracker.Sample {
	if sampling == NoSample {
		return nil
	}
	return func() []byte {
		d.mu.Lock()
		file := d.files[swarm]
		d.mu.Unlock()
		if file == nil { // withdrawn
			return nil
		}
		return d.head(file)
	}
}
