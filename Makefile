# Every target sets up .venv by itself; a second call finds it ready.
# PYTHON=python3.12    the interpreter for .venv (default: the first of python3.11..3.14, python3 that will do)
# REPO=path-or-url     a repository of yours for `make demo`
# KILLS=100            kills of `make crash-test`
# CRASH_ARGS=...       further arguments for it, e.g. --break to prove that it can fail
# BENCH_ARGS=...       further arguments of `make bench`, `bench-long` and `bench-listening`
# MINUTES=60, RATE=2   of `make soak`
# JOBS=2               parallel workers of `make test`
# PYTEST_ARGS=...      further arguments for pytest

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMULATE_LOCK := tests/support/servers/emulate/package-lock.json
KILLS ?= 100
CRASH_ARGS ?=
BENCH_ARGS ?=
MINUTES ?= 60
RATE ?= 2
JOBS ?= 2
PYTEST_ARGS ?=

export PYTHON REPO

.PHONY: help setup demo up test coverage check format crash-test crash-test-burst bench bench-long bench-listening soak constraints clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-19s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## create .venv and install everything into it
	@:

$(READY): pyproject.toml constraints.txt scripts/setup-venv.sh scripts/install-emulate.sh $(EMULATE_LOCK)
	@scripts/setup-venv.sh $(VENV)
	@touch $@

demo: $(READY) ## show the whole way of a change on a sample repository, then stop (REPO=path-or-url adds yours)
	@$(BIN)/dct demo $(if $(REPO),--repo "$$REPO")

up: $(READY) ## start everything and keep it running
	@$(BIN)/dct up

test: $(READY) ## all tests (PYTEST_ARGS="-k git" for some)
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --durations 15 $(PYTEST_ARGS)

coverage: $(READY) ## all tests with branch coverage
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --cov --cov-report term $(PYTEST_ARGS)

check: $(READY) ## style, types, import layers, architecture: everything is looked at, then it fails if anything did
	@failed=; \
	run() { echo "--- $$*"; "$$@" || failed="$$failed $${1##*/}"; }; \
	run $(BIN)/ruff check .; \
	run $(BIN)/ruff format --check .; \
	run $(BIN)/mypy; \
	run $(BIN)/lint-imports --no-logo; \
	run $(BIN)/pytest -q tests/architecture; \
	if [ -n "$$failed" ]; then echo "make check failed:$$failed" >&2; exit 1; fi; \
	echo "make check passed"

format: $(READY) ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

crash-test: $(READY) ## kill processes under load and count what was lost or doubled (KILLS=100)
	@$(BIN)/python -m benchmarks.crash --kills $(KILLS) $(CRASH_ARGS)

crash-test-burst: $(READY) ## kill processes in the middle of bursts with warm workers (CRASH_ARGS="--kills 60")
	@$(BIN)/python -m benchmarks.load --only kills $(CRASH_ARGS)

bench: $(READY) ## measure bursts, latency, steady load and idleness, beside Dagster's default (10 minutes)
	@$(BIN)/python -m benchmarks.load $(BENCH_ARGS)

bench-long: $(READY) ## measure 20,000 runs of steady load, and load that grows; with plots (30 minutes)
	@$(BIN)/python -m benchmarks.load --long $(BENCH_ARGS)

bench-listening: $(READY) ## measure ticks and decisions at 5,000 triggers and 10,000 refs
	@$(BIN)/python -m benchmarks.listening $(BENCH_ARGS)

soak: $(READY) ## light load for long: does anything grow, is anything lost? (MINUTES=60 RATE=2)
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) --rate $(RATE)

constraints: ## resolve pyproject.toml anew and write constraints.txt
	@scripts/write-constraints.sh

clean: ## remove .venv and caches; state kept under .dct stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
