# Shoal's build. `make help` lists the targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Tools by version, run from the module cache, so that go.mod does not know them.
GOFUMPT     := go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

T = 30s

SCRIPTS := .ci/run scripts/*.sh scripts/lib/*.sh

.NOTPARALLEL:
.PHONY: help build run test bench bench-hash bench-log bench-server bench-swarm bench-hostile stress soak fuzz fmt lint clean setup-build setup-test setup-bench native test-native test-go test-nocgo

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

build: native ## build bin/shoal and bin/shoal-trace
	go build -tags native -o bin/ ./cmd/shoal ./cmd/shoal-trace

run: build ## see it work: a server and four peers here, a file fetched from all four (FILE=… for one of yours)
	@scripts/demo.sh "$$FILE"

test: setup-test lint build test-native test-go test-nocgo ## run everything that proves it: lint, C and Go tests, the real binary

bench: setup-bench build ## measure against the rivals and check the figures that must hold
	go run ./tests/bench

bench-hash: setup-test build ## measure hashing alone and check its figures
	go run -tags native ./native/hashbench/figures

bench-log: setup-test build ## measure logging and the two services, and check their figures
	go run -tags native ./tests/bench/logs

bench-server: setup-test build ## measure the server's answers, memory and starts, and check their figures
	go run -tags native ./tests/bench/servers

bench-swarm: setup-bench build ## measure downloads from many peers on links with rates, against the rivals (as root)
	go run -tags native ./tests/bench/swarms

bench-hostile: setup-test build ## measure what attackers cost everybody else, and check the figures that must hold (as root)
	go run -tags native ./tests/bench/hostile

stress: setup-test build ## many sessions at a time, each answer checked (CLIENTS=300 SECONDS=15 MIX=…), and then attackers (as root)
	@scripts/stress.sh
	@$(MAKE) bench-hostile

soak: setup-test build ## use it for MINUTES=… while daemons are killed, links cut, disks filled; all that was promised must be there (as root)
	@scripts/soak.sh "$(or $(MINUTES),10)"

fmt: ## format the Go files
	$(GOFUMPT) -l -w .

lint: setup-test native ## check the format, go vet, staticcheck and shellcheck
	@unformatted=$$($(GOFUMPT) -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted ('make fmt' does it):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go vet -tags native ./...
	$(STATICCHECK) -tags native ./...
	shellcheck $(SCRIPTS)

fuzz: setup-test native ## fuzz each target for T (T=30s), and say what was found
	go run ./tests/fuzz -for $(T)

clean: ## remove what was built
	rm -rf bin build native/archive_hash.go

setup-build setup-test setup-bench: setup-%:
	@scripts/setup.sh $*

# The archive that package native links, and the Go file that tells the Go toolchain of its changes.
native: setup-build
	@[ -e build/Makefile ] || cmake -S . -B build -DCMAKE_BUILD_TYPE=Release >/dev/null
	@cmake --build build --target archive_hash --parallel >/dev/null

test-native: native
	@cmake --build build --parallel >/dev/null
	ctest --test-dir build --output-on-failure --no-tests=error

test-go: build
	go test -race -tags native ./...

# Without cgo everything builds, and the twin gives the same hashes.
test-nocgo:
	CGO_ENABLED=0 go build ./...
	CGO_ENABLED=0 go test . ./native/...
