package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

// nginxConfig is for one process that serves a folder as fast as nginx can. sndbuf and the chunk are the fastest of
// those tried here.
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

// rival is aria2 fetching from four nginx.
type rival struct {
	nginx []*proc.Daemon
	hosts []string
}

// startRival starts an nginx for each folder. The caller must call stop.
func startRival(ctx context.Context, b *report.Bench, folders []string) (_ *rival, err error) {
	nginx, err := findNginx()
	if err != nil {
		return nil, err
	}
	r := &rival{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	for i, folder := range folders {
		// Addresses of their own: aria2 counts connections by host name, and would use one port of a host only.
		host, err := freePort(fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("nginx%d", i+1)
		dir := filepath.Join(b.Dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("starting nginx: %w", err)
		}
		config := fmt.Sprintf(nginxConfig, host, folder)
		if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600); err != nil {
			return nil, fmt.Errorf("starting nginx: %w", err)
		}
		d, err := proc.Start(ctx, b.Dir, name,
			proc.Command{Args: []string{nginx, "-p", dir, "-c", "nginx.conf", "-e", "stderr"}}, nil)
		if err != nil {
			return nil, err
		}
		r.nginx, r.hosts = append(r.nginx, d), append(r.hosts, host)
		if err := awaitPort(ctx, d, host); err != nil {
			return nil, err
		}
	}
	return r, nil
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

// freePort returns an address whose port was free a moment ago.
func freePort(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// awaitPort waits until d accepts connections.
func awaitPort(ctx context.Context, d *proc.Daemon, address string) error {
	ctx, cancel := context.WithTimeout(ctx, proc.ReadyTimeout)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-d.Exited():
			return d.Failure("ended at once")
		case <-ctx.Done():
			return d.Failure("does not accept connections")
		}
	}
}

// get fetches a file from all nginx to path. The options are aria2's fastest of those tried here.
func (r *rival) get(ctx context.Context, name, path string) (proc.Usage, error) {
	args := []string{
		"aria2c", "--no-conf", "--quiet", "--console-log-level=error", "--download-result=hide",
		"--summary-interval=0", "--allow-overwrite=true", "--auto-file-renaming=false",
		"--split=4", "--max-connection-per-server=1", "--file-allocation=falloc", "--socket-recv-buffer-size=4M",
		"--dir=" + filepath.Dir(path), "--out=" + filepath.Base(path),
	}
	for _, host := range r.hosts {
		args = append(args, "http://"+host+"/"+name)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("not finished after %v", stepTimeout))
	defer cancel()
	use, _, err := proc.Run(ctx, proc.Command{Args: args})
	return use, err
}

// daemons returns what the nginx have used together.
func (r *rival) daemons() (proc.Usage, error) { return together(r.nginx) }

func (r *rival) stop() error {
	var err error
	for _, d := range r.nginx {
		err = errors.Join(err, d.Stop())
	}
	return err
}
