# make demo    what it does, on real input        make test    everything CI runs
# make bench   the figures of the README          make wheelhouse   all wheels for a machine without network

PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint types unit bench wheelhouse clean

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python from 3.11 to 3.14 found; name one with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev,train]'
	@touch $@

demo: .venv/.installed
	$(BIN)/python examples/demo.py

test: lint types unit

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/mypy

unit: .venv/.installed
	$(BIN)/pytest -n auto

bench: .venv/.installed
	$(BIN)/python benchmarks/check.py

wheelhouse: .venv/.installed
	$(BIN)/pip wheel --quiet --wheel-dir wheelhouse '.[dev,train]'
	@echo "wheelhouse/: copy it, then: pip install --no-index --find-links wheelhouse lora-data-governance"

clean:
	rm -rf .venv wheelhouse dist build demo-out .pytest_cache .mypy_cache .ruff_cache
