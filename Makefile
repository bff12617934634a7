# Everything a developer needs. A fresh machine needs Python 3.10 or newer, make and the package index, nothing else:
# every target first makes what it needs, and a second call does no work and needs no network.
#
#   make demo     a tour of the database, in a temporary directory; SERVER=http://user:password@host:5984 brings one in,
#                 SERVER=postgresql://user@host/database a PostgreSQL
#   make test     lint, types, layers and all tests: what CI runs
#   make dist     wheels and sdists of all distributions, in dist/
#   make bench    the benchmarks, with the peers where node and npm are installed
#   make help     the rest
#
# Another interpreter beside the first: make test PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Each folder below plugins/ that has a pyproject.toml is a member.
MEMBERS := $(patsubst %/pyproject.toml,%,$(sort $(wildcard plugins/*/pyproject.toml)))
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
INSTALLED := $(VENV)/.installed
EXAMPLES := $(VENV)/.examples
PEERS := bench/node/node_modules/.package-lock.json
INTEROP := tests/interop/node/node_modules/.package-lock.json
CLIENTS := tests/interop/clients/node_modules/.package-lock.json
PYTHON_CLIENTS := tests/interop/clients/.venv/.installed

# Of the package only what is built: its dependencies are those of building it, hundreds of them.
FAUXTON := tests/interop/fauxton/package/dist/release/index.html
AUTHENTICATION := tests/interop/authentication/package/dist/pouchdb.authentication.js

# pytest's options for one run, e.g. make test PYTEST="-x -k conflict"
PYTEST ?=
BENCH ?=
SEEDS ?= 3000
START ?= 0
SEED ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test lint types layers peers pytest screenshots simulate campaign dist dist-check docs-installed site bench scale clean distclean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

# --------------------------------------------------------------------------------------------------------- environment
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: '$(PYTHON)' was not found. Install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 10) and sys.exit( \
	  "make: $(PYTHON) is Python %d.%d, and 3.10 or newer is needed. Name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) comes without the modules venv and ensurepip. Install them, then call make again:" >&2; \
	  echo "  Debian, Ubuntu:  apt-get install python3-venv" >&2; \
	  echo "  elsewhere:       a Python from python.org, Homebrew, conda or pyenv has them" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# One call for all members, so that none of them is looked up in the package index.
$(INSTALLED): pyproject.toml $(MEMBERS:%=%/pyproject.toml) | $(BIN)/python
	@echo "Installing pouchdb$(MEMBERS:plugins/%=, %) and the development tools into $(VENV)"
	@$(PIP) -e '.[dev]' $(MEMBERS:%=-e %)
	@touch $@

$(EXAMPLES): examples/requirements.txt $(INSTALLED)
	@echo "Installing what the examples need into $(VENV)"
	@$(PIP) -r examples/requirements.txt
	@touch $@

$(PEERS): bench/node/package.json bench/node/package-lock.json
	@echo "Installing the node peers into bench/node/node_modules"
	@cd bench/node && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(INTEROP): tests/interop/node/package.json tests/interop/node/package-lock.json
	@echo "Installing PouchDB and PouchDB Server into tests/interop/node/node_modules"
	@cd tests/interop/node && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(CLIENTS): tests/interop/clients/package.json tests/interop/clients/package-lock.json
	@echo "Installing CouchDB's clients for node into tests/interop/clients/node_modules"
	@cd tests/interop/clients && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(PYTHON_CLIENTS): tests/interop/clients/requirements.txt | $(BIN)/python
	@echo "Installing CouchDB's clients for Python into tests/interop/clients/.venv"
	@$(BIN)/python -m venv tests/interop/clients/.venv
	@tests/interop/clients/.venv/bin/python -m pip install --disable-pip-version-check --quiet -r tests/interop/clients/requirements.txt
	@touch $@

$(FAUXTON): tests/interop/fauxton/fauxton.sha256
	@echo "Fetching Fauxton into tests/interop/fauxton"
	@cd tests/interop/fauxton && npm pack --silent $$(sed 's/.*  \(.*\)-\([0-9.]*\)\.tgz/\1@\2/' fauxton.sha256) >/dev/null \
	  && sha256sum --check --quiet fauxton.sha256 && tar xzf fauxton-*.tgz && rm fauxton-*.tgz
	@touch $@

$(AUTHENTICATION): tests/interop/authentication/pouchdb-authentication.sha256
	@echo "Fetching pouchdb-authentication into tests/interop/authentication"
	@cd tests/interop/authentication && npm pack --silent $$(sed 's/.*  \(.*\)-\([0-9.]*\)\.tgz/\1@\2/' pouchdb-authentication.sha256) >/dev/null \
	  && sha256sum --check --quiet pouchdb-authentication.sha256 && tar xzf pouchdb-authentication-*.tgz && rm pouchdb-authentication-*.tgz
	@touch $@

install: $(INSTALLED) ## the virtual environment with the core, all plug-ins and the development tools

# --------------------------------------------------------------------------------------------------------------- running
demo: $(EXAMPLES) ## a tour of the database; with a server, too: make demo SERVER=http://user:password@host:5984
	@$(BIN)/python examples/demo.py $(if $(SERVER),'$(SERVER)')

# Every check runs, also after one failed; pytest's summary comes last.
test: $(INSTALLED) ## lint, types, layers and all tests: what CI runs
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(MAKE) --no-print-directory types || status=1; \
	$(MAKE) --no-print-directory layers || status=1; \
	$(MAKE) --no-print-directory pytest || status=1; \
	exit $$status

lint: $(INSTALLED) ## ruff
	@$(BIN)/ruff check --quiet . && echo 'ruff: no findings'

types: $(INSTALLED) ## mypy
	@$(BIN)/mypy

layers: $(INSTALLED) ## import-linter
	@report=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$report"; exit 1; }; echo "import-linter: $$(echo "$$report" | tail -n 1)"

# Without node the tests against real peers are skipped, loudly.
peers: ## PouchDB, its plug-in for logins, PouchDB Server, Fauxton and clients of CouchDB for the tests
	@$(MAKE) -s --no-print-directory $(PYTHON_CLIENTS) \
	  || echo "*** CouchDB's clients for Python could not be installed: NO TEST with them ***" >&2
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) -s --no-print-directory $(INTEROP) $(CLIENTS) $(FAUXTON) $(AUTHENTICATION) \
	  || echo '*** the peers could not be installed: NO TEST against PouchDB and PouchDB Server ***' >&2; \
	else echo '*** node and npm are not installed: NO TEST against PouchDB and PouchDB Server ***' >&2; fi

# One more than there are cores: for a third of their time, tests wait for processes, browsers and deadlines.
pytest: WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
pytest: $(EXAMPLES) peers ## the tests alone, in parallel
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --no-header $(PYTEST)

screenshots: $(INSTALLED) ## the pictures in docs/, by the tests of the pages in chromium
	@mkdir -p docs/screenshots
	@POUCHDB_SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest --no-header -q plugins/server/tests/test_pages*.py plugins/server/tests/test_fauxton.py

simulate: $(INSTALLED) ## replicas under random trouble: make simulate SEEDS=5000 START=0, one seed: SEED=42; STORES=postgres
	@$(BIN)/python tests/simulation $(if $(STORES),--$(STORES)) $(if $(SEED),$(SEED) --trace,--start $(START) --seeds $(SEEDS))

# ------------------------------------------------------------------------------------------------------------ publishing
dist: $(INSTALLED) ## wheels and sdists of the core and all plug-ins, in dist/
	@$(BIN)/python tests/installed/distributions.py dist
	@$(BIN)/twine check --strict dist/* >/dev/null && echo 'twine: descriptions and metadata are valid'

dist-check: dist ## installs what was built, alone, together and with every Python found, and runs the sdists' tests
	@$(BIN)/python tests/installed/check.py dist

docs-installed: $(INSTALLED) ## follows every document in clean environments: what it tells to install, then its code
	@$(BIN)/python tests/installed/documents.py

# A warning is an error: a link that leads nowhere, a page that is not listed, a name that does not exist.
site: $(INSTALLED) ## the documents as a site, with a reference and a search that need no network: build/site/html
	@$(BIN)/python website/assemble.py build/site/source
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f website/mkdocs.yml && echo 'site: build/site/html/index.html'

campaign: $(INSTALLED) ## what tests do in small: 200 kills, 60 power cuts, 1,000 new seeds; about ten minutes
	@POUCHDB_KILLS=200 POUCHDB_CUTS=60 $(BIN)/python -m pytest --no-header -q -rP -o faulthandler_timeout=0 \
	  tests/adapters/test_kill.py tests/adapters/test_power_cut.py tests/replication/test_kill.py
	@$(BIN)/python tests/simulation --start $$(date +%s) --seeds 1000

# ------------------------------------------------------------------------------------------------------------- measuring
bench: $(INSTALLED) ## the benchmarks: prints the table and writes bench/results.md
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) -s --no-print-directory $(PEERS) || true; fi
	@$(BIN)/python -m bench $(BENCH)
	@$(MAKE) -s --no-print-directory peers
	@$(BIN)/python -m bench.server
	@$(BIN)/python -m bench.workers

scale: $(INSTALLED) ## the cost of a document from 10 thousand to 1 million of them; BENCH=--postgres: in both stores
	@$(BIN)/python -m bench --scale $(BENCH)

# -------------------------------------------------------------------------------------------------------------- cleaning
clean: ## removes caches and what was built
	@rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache bench/data
	@find . -name node_modules -prune -o -path './.venv*' -prune -o \
	  \( -name __pycache__ -o -name '*.egg-info' \) -type d -prune -exec rm -rf {} +

distclean: clean ## also removes the virtual environments and the node peers
	@rm -rf .venv .venv-* bench/node/node_modules tests/interop/node/node_modules tests/interop/*/package
