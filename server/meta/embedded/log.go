package embedded

import (
	"os"

	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge makes a zap logger that writes to log. etcd tells much that only its developers need, so its warnings are
// debugging, and less than that is dropped.
func bridge(log zerolog.Logger) *zap.Logger {
	return zap.New(&core{log: log}, zap.WithFatalHook(fatal{log}))
}

// firstStart is what etcd calls an error whenever a new folder is opened, and is none: it has nothing yet whose version
// could be told.
const firstStart = "failed to update storage version"

// core is a zapcore.Core over zerolog.
type core struct {
	log    zerolog.Logger
	fields []zapcore.Field
}

func (c *core) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{c.log, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

func (c *core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := zerolog.DebugLevel
	switch {
	case e.Message == firstStart:
	case e.Level > zapcore.ErrorLevel:
		level = zerolog.ErrorLevel
	case e.Level == zapcore.ErrorLevel:
		level = zerolog.WarnLevel
	}
	line := c.log.WithLevel(level)
	if line == nil {
		return nil
	}
	all := zapcore.NewMapObjectEncoder()
	for _, f := range c.fields {
		f.AddTo(all)
	}
	for _, f := range fields {
		f.AddTo(all)
	}
	line.Fields(all.Fields).Msg("etcd: " + e.Message)
	return nil
}

func (c *core) Sync() error { return nil }

// fatal ends the process when etcd cannot go on, as it must: it has said that it does not know what is on disk. Nothing
// that was acknowledged is lost by that.
type fatal struct{ log zerolog.Logger }

func (f fatal) OnWrite(e *zapcore.CheckedEntry, _ []zapcore.Field) {
	f.log.WithLevel(zerolog.FatalLevel).Msg("the state cannot be written any more (" + e.Message +
		"): see that the disk has space and works, then start again; nothing that was acknowledged is lost")
	os.Exit(1)
}
