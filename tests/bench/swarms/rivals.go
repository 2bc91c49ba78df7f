package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"shoal/tests/bench/proc"
)

// nginxConfig is for one process that serves a folder as fast as nginx can.
const nginxConfig = `daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 64; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    sendfile_max_chunk 512k;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen %s sndbuf=4m;
        root "%s";
    }
}
`

// The rivals' ports, which are free in a network that nobody else is in.
const (
	nginxPort   = 8000
	torrentPort = 8001
)

// aria2 is the contender that fetches from an nginx at each source.
func (s *supply) aria2(ctx context.Context) (_ *contender, err error) {
	nginx, err := findNginx()
	if err != nil {
		return nil, err
	}
	var daemons []*proc.Daemon
	defer func() {
		if err != nil {
			err = errors.Join(err, stopAll(daemons))
		}
	}()
	var urls []string
	for i, source := range s.sources {
		host := fmt.Sprintf("%s:%d", source.address, nginxPort)
		name := fmt.Sprintf("nginx%d", i)
		dir := filepath.Join(s.dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("starting nginx: %w", err)
		}
		config := fmt.Sprintf(nginxConfig, host, s.folders[i])
		if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600); err != nil {
			return nil, fmt.Errorf("starting nginx: %w", err)
		}
		d, err := proc.Start(ctx, s.dir, name, source.command(nginx, "-p", dir, "-c", "nginx.conf", "-e", "stderr"), nil)
		if err != nil {
			return nil, err
		}
		daemons = append(daemons, d)
		if err := awaitFile(ctx, d, filepath.Join(dir, "nginx.pid")); err != nil {
			return nil, err
		}
		urls = append(urls, "http://"+host+"/"+fileName)
	}
	return &contender{
		name: "aria2, nginx", stop: func() error { return stopAll(daemons) },
		usage: func() (proc.Usage, error) { return together(daemons) },
		command: func(path string) proc.Command {
			return s.fetcher.command(append(aria2Line(len(urls), path), urls...)...)
		},
	}, nil
}

// aria2Line has aria2's fastest options of those tried.
func aria2Line(sources int, path string) []string {
	return []string{
		"aria2c", "--no-conf", "--quiet", "--console-log-level=error", "--download-result=hide", "--summary-interval=0",
		"--allow-overwrite=true", "--auto-file-renaming=false", "--file-allocation=falloc", "--socket-recv-buffer-size=4M",
		"--max-connection-per-server=1", fmt.Sprintf("--split=%d", sources), "--min-split-size=1M",
		"--dir=" + filepath.Dir(path), "--out=" + filepath.Base(path),
	}
}

// findNginx returns the installed nginx, or the one that scripts/setup.sh unpacked.
func findNginx() (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "build/rivals/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("no nginx: run 'scripts/setup.sh bench' in the project's folder, and the bench from there")
}

// awaitFile waits until d has written a file, which it does when it listens.
func awaitFile(ctx context.Context, d *proc.Daemon, path string) error {
	ctx, cancel := context.WithTimeout(ctx, proc.ReadyTimeout)
	defer cancel()
	for {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-d.Exited():
			return d.Failure("ended at once")
		case <-ctx.Done():
			return d.Failure("is not ready")
		}
	}
}

//go:embed torrent.py
var torrentScript []byte

// torrent is libtorrent's view of the file: a torrent, and the command that plays a role in its swarm.
type torrent struct {
	script, path string
	dir          string // for logs
}

func newTorrent(ctx context.Context, dir, file string) (*torrent, error) {
	t := &torrent{script: filepath.Join(dir, "torrent.py"), path: filepath.Join(dir, "payload.torrent"), dir: dir}
	if err := os.WriteFile(t.script, torrentScript, 0o600); err != nil {
		return nil, fmt.Errorf("preparing libtorrent: %w", err)
	}
	_, _, err := proc.Run(ctx, machine{}.command(t.line("torrent", file, t.path)...))
	return t, err
}

// line runs the script by Debian's Python, which finds Debian's libtorrent.
func (t *torrent) line(args ...string) []string {
	return append([]string{"/usr/bin/python3", t.script}, args...)
}

// role is the command line of a peer on a machine.
func (t *torrent) role(role string, on machine, folder string, rest ...string) proc.Command {
	return on.command(t.line(append([]string{role, t.path, folder, torrentAt(on)}, rest...)...)...)
}

func torrentAt(m machine) string { return fmt.Sprintf("%s:%d", m.address, torrentPort) }

// daemon starts a peer that goes on, and waits until it listens. lines gets what it says next.
func (t *torrent) daemon(ctx context.Context, name string, c proc.Command) (*proc.Daemon, *proc.Lines, error) {
	lines := proc.NewLines()
	d, err := proc.Start(ctx, t.dir, name, c, lines)
	if err != nil {
		return nil, nil, err
	}
	var event struct{ Event string }
	return d, lines, d.Ready(ctx, lines, &event)
}

// libtorrent is the contender that fetches from a seed at each source, in plaintext.
func (s *supply) libtorrent(ctx context.Context) (_ *contender, err error) {
	t, err := newTorrent(ctx, s.dir, filepath.Join(s.folders[0], fileName))
	if err != nil {
		return nil, err
	}
	var daemons []*proc.Daemon
	defer func() {
		if err != nil {
			err = errors.Join(err, stopAll(daemons))
		}
	}()
	var peers []string
	for i, source := range s.sources {
		d, _, err := t.daemon(ctx, fmt.Sprintf("seed%d", i), t.role("seed", source, s.folders[i]))
		if err != nil {
			return nil, err
		}
		daemons, peers = append(daemons, d), append(peers, torrentAt(source))
	}
	here := s.fetcher
	if here.Host == nil {
		here.address = fmt.Sprintf("127.0.0.%d", len(s.sources)+1)
	}
	return &contender{
		name: "libtorrent, plaintext", stop: func() error { return stopAll(daemons) },
		usage:   func() (proc.Usage, error) { return together(daemons) },
		command: func(path string) proc.Command { return t.role("get", here, filepath.Dir(path), peers...) },
	}, nil
}
