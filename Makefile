# The two commands are `make demo` and `make test`; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
UV := $(BIN)/uv
UV_VERSION := 0.13.9
BUF := @bufbuild/buf@1.75.0
# Much runs in short processes, and modules that are compiled once start in less than half the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check bench soak proto lock docs up down clean format

help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything the project needs.

$(STAMP): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; found " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Start the local stack, derive a real model family, store it, show it.
	$(BIN)/python -m examples.demo

test: setup ## Run every test against a real Neo4j.
	$(BIN)/python -m pytest --numprocesses auto --no-loadscope-reorder

soak: setup ## Run the long fault series.
	$(BIN)/python -m pytest -o addopts="--import-mode=importlib --strict-markers -ra" tests/soak

check: setup ## Format, lint, types, import arrows, proto freshness, wheel contents, docs.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	proto/generate.sh --check
	@if command -v npx >/dev/null; then echo "buf lint proto"; npx --yes $(BUF) lint proto; else echo "buf was not run: it needs npx."; fi
	$(BIN)/python docs/check.py
	rm -rf build/wheel && $(BIN)/python -m hatchling build -t wheel -d build/wheel && $(BIN)/check-wheel-contents build/wheel/*.whl

format: setup ## Format the code and mend what lint can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Run the benchmarks and write bench/results and docs/benchmarks.md.
	$(BIN)/python -m bench

proto: setup ## Generate the Python code of the wire contract.
	proto/generate.sh

lock: setup ## Resolve the pinned requirements anew.
	$(UV) pip compile --quiet --universal --python-version 3.11 pyproject.toml --extra demo --group dev --no-annotate --no-header --no-emit-index-url --no-emit-find-links -o requirements/dev.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 pyproject.toml -c requirements/dev.txt --no-annotate --no-header --no-emit-index-url --no-emit-find-links -o requirements/base.txt

docs: setup ## Check that every link, command and name in the documentation is right.
	$(BIN)/python docs/check.py

up: setup ## Start the local stack.
	$(BIN)/mgit up

down: setup ## Stop the local stack.
	$(BIN)/mgit down

clean: ## Remove what the targets made in this folder; homes and caches stay.
	rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
