PYTHON ?= python3
VENV := .venv
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)

.PHONY: help install demo test lint check package site oldest lock clean

help:  ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pictures]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

install: $(VENV)/.installed  ## Install Assay into .venv

demo: $(VENV)/.installed  ## Run the demo study and write its report
	$(BIN)/assay run first-verdict --store demo-store
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xdg-open >/dev/null; then \
		xdg-open demo-store/reports/first-verdict.html >/dev/null 2>&1 & fi
	@echo 'Next: . $(BIN)/activate, then `assay init` asks three questions and writes a study of your own'

# The tests start some 300 processes: with the bytecode of Assay kept, none of them compiles its sources anew.
test: $(VENV)/.installed-test  ## Install what the tests need and run them
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile

MINUTES ?= 60
.PHONY: attack
attack: $(VENV)/.installed-test  ## Attack it: kill storms, spoiled stores, hostile inputs (an hour; MINUTES=5, SEED=7)
	$(BIN)/python -m tests.attack --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/.installed-test  ## Style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test  ## What CI does

package: $(VENV)/.installed-test  ## Build wheel and sdist into dist/, check them, and try the wheel outside the checkout
	$(BIN)/python .ci/package.py

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

site: $(VENV)/.installed-docs  ## Build the documentation site into site/; a dead link or an undocumented name is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky --jobs 2 docs site

oldest:  ## Run the tests with the oldest versions that pyproject.toml admits (TESTS=tests/spec)
	rm -rf .oldest-venv && $(PYTHON) -m venv .oldest-venv
	.oldest-venv/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check uv httpx 'torch>=2.13,<2.14'
	.oldest-venv/$(SCRIPTS)/python -m uv pip compile --quiet --resolution lowest-direct --extra test pyproject.toml \
		| grep -vE '^ |^#|^(torch|nvidia|cuda|triton)' > .oldest-venv/versions.txt
	.oldest-venv/$(SCRIPTS)/python -m uv pip install --quiet --python .oldest-venv/$(SCRIPTS)/python --no-deps \
		-r .oldest-venv/versions.txt -e .
	.oldest-venv/$(SCRIPTS)/python -m pytest -W ignore::DeprecationWarning -n 2 --dist loadfile $(TESTS)

lock:  ## Renew constraints.txt from a fresh environment
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet --disable-pip-version-check '.[test,dev,docs]'
	( echo '# Versions that the tests pass with. Made by `make lock`. torch is left to the range in pyproject.toml,'; \
	  echo '# so that pip can choose a CPU or a CUDA build.'; \
	  .lock-venv/bin/python -m pip freeze --exclude assay --exclude torch \
	  | grep -viE '^(nvidia|cuda|triton)' ) > constraints.txt
	rm -rf .lock-venv

clean:  ## Remove what was made
	rm -rf $(VENV) .oldest-venv dist site demo-store .pytest_cache .mypy_cache .ruff_cache

BENCH ?=
.PHONY: bench

.bench-venv/.installed: benchmarks/requirements.txt
	test -d .bench-venv || $(PYTHON) -m venv .bench-venv
	.bench-venv/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

bench: $(VENV)/.installed .bench-venv/.installed  ## Measure Assay beside its rivals: docs/evidence/benchmarks.md (30 minutes)
	$(BIN)/python benchmarks/bench.py $(BENCH)

.PHONY: gallery
gallery: $(VENV)/.installed  ## Draw every picture of docs/gallery/index.md from real runs (a few minutes)
	$(BIN)/python docs/gallery/make_gallery.py
