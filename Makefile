# `make help` lists the targets. Everything is installed from the hash-pinned lock in requirements/.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
UV = $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types arch fix docs lock calibrate reference bench clean system build check-dist

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements/lock.txt pyproject.toml
	@command -v uv >/dev/null 2>&1 || test -x .tools/bin/uv || scripts/get-uv.sh $(PYTHON) $(UV_VERSION)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --require-hashes --python $(BIN)/python --compile-bytecode requirements/lock.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

setup: $(STAMP) ## create .venv from the hash-pinned lock

system: ## install what tests need beside Python (Chromium, bubblewrap, linters for JavaScript)
	@scripts/system-packages.sh
	@scripts/javascript-tools.sh

demo: setup ## run the main job on a bundled data set with a simulated model
	@scripts/demo.sh

lint: setup ## format check and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## strict type check
	$(BIN)/pyrefly check

arch: setup ## floors of the architecture
	$(BIN)/lint-imports

test: setup system lint types arch ## everything CI runs
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

fix: setup ## format and apply safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## renew requirements/lock.txt from pyproject.toml
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-package bakeoff -o requirements/lock.txt -q

calibrate: setup ## prove coverage and error rates; writes docs/calibration.md
	$(BIN)/python scripts/calibrate.py

reference: setup ## compute the values that tests quote from R anew, where R and its packages are installed
	REFERENCE=1 $(BIN)/python -m pytest -q tests/stats/reference

bench: setup ## how fast the statistics are, against their targets
	$(BIN)/python benchmarks/stats.py

build: setup ## wheel and sdist into dist/
	$(UV) build --quiet

clean: ## remove what make created
	rm -rf $(VENV) .tools dist demo
