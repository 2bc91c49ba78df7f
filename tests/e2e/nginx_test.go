package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// nginxConfig is for one process that serves a folder, as a mirror does, in several ways.
const nginxConfig = `daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 64; }
http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen %s;
        root "%s";
        location /rangeless/ { alias "%[2]s/"; max_ranges 0; }
        location /moved/ { rewrite ^/moved/(.*)$ /$1 redirect; }
        location /circle/ { rewrite ^ /circle/x redirect; }
        location /slow/ { alias "%[2]s/"; limit_rate 256k; }
        location /inside/ { return 302 http://169.254.169.254/; }
    }
}
`

// nginx serves a folder by HTTP.
type nginx struct {
	*process
	w      *world
	folder string
	url    string
}

// startNginx starts Debian's nginx. The test is skipped where there is none.
func startNginx(w *world) *nginx {
	w.Helper()
	program, err := filepath.Abs("../../build/rivals/usr/sbin/nginx")
	if err != nil {
		w.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("nginx"); err != nil {
			w.Skip("there is no nginx: bash scripts/setup.sh test provides it")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	n := &nginx{w: w, folder: w.folder("site"), url: "http://" + l.Addr().String()}
	write(w.T, w.path("nginx.conf"), fmt.Appendf(nil, nginxConfig, l.Addr(), n.folder))
	if err := l.Close(); err != nil { // its port was free a moment ago
		w.Fatal(err)
	}
	n.process = prepare(w.T, program, w.dir, []string{"PATH=" + os.Getenv("PATH")}, "-p", w.dir, "-c", "nginx.conf", "-e", "stderr")
	n.watch(fork(n.cmd.Start))
	eventually(w.T, func() error {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			err = nc.Close()
		}
		return err
	})
	return n
}

// accessed is what was asked for, a line each.
func (n *nginx) accessed() string {
	n.w.Helper()
	b, err := os.ReadFile(n.w.path("access.log"))
	if err != nil && !os.IsNotExist(err) {
		n.w.Fatal(err)
	}
	return string(b)
}
