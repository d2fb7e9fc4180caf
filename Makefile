# Two commands matter to a newcomer: `make demo` sets up and shows the thing at work, `make test` sets up and tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: setup demo test lint types layers unit simulate simulate-editing small-worlds authors fuzz coverage torture \
        node doors bench bench-quick bench-check bench-setup bench-peers clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Two folders on this machine, kept the same until Ctrl-C.
demo: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: lint types layers bench-check unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

unit: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# Longer than the slice in the tests: make simulate SEEDS=1000 FIRST_SEED=1
SEEDS ?= 1000
FIRST_SEED ?= 1
simulate: setup
	$(BIN)/python -m crdtsync.testing.simulate --seeds $(SEEDS) --first-seed $(FIRST_SEED) --jobs $(JOBS)

# One text among editors, pages, tools and folders: make simulate-editing SEEDS=1000 FIRST_SEED=1
simulate-editing: setup
	$(BIN)/python -m crdtsync.testing.editing --seeds $(SEEDS) --first-seed $(FIRST_SEED) --jobs $(JOBS) --keep-going

# Every three deeds of people who do not know of each other, in every order, and every two at every moment: some
# 40,000 worlds, in an order that is always the same. make small-worlds WHICH=triples FIRST=19841 goes on from there.
WHICH ?= triples moments
FIRST ?= 0
small-worlds: setup
	for which in $(WHICH); do \
	    $(BIN)/python -m tests.simulation.all_small_worlds $$which --first $(FIRST) --jobs $(JOBS) || exit 1; \
	done

# Two recorded authors, a save for every keystroke; the tests save by runs of keystrokes.
authors: setup
	CRDTSYNC_EVERY_KEYSTROKE=1 $(BIN)/python -m pytest tests/authors -n $(JOBS) -rP

# Every decoder and both ends of the protocol, for so many seconds each; docs/testing.md tells more.
FUZZ_SECONDS ?= 60
fuzz: setup
	-$(BIN)/python -m pip install --quiet 'atheris>=3'
	nice -n 10 $(BIN)/python -m tests.fuzz.campaign --seconds $(FUZZ_SECONDS)

# A hub and three replicas as processes, among people's tools, kills, full disks, cut wires; docs/testing.md tells more.
# Root is needed for some of it; ONLY='wires kill-hub' takes these only, and a failure prints the line that replays it.
SECONDS ?= 600
SEED ?= 1
ONLY ?=
torture: setup
	$(BIN)/python -m tests.torture --seconds $(SECONDS) --seed $(SEED) $(addprefix --only ,$(ONLY))

# The unit tests of the core, and whether they run all of its branches; some four minutes on two cores.
coverage: setup
	$(BIN)/python -m tests.core_coverage $(JOBS)

# Unmodified Yjs clients for the tests, and the page of the example; needs node and npm. Without them `make test`
# skips what it cannot run, and says so.
NPM_INSTALL := npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error
node: tests/doors/node_modules/.ready examples/codemirror/dist/main.js

tests/doors/node_modules/.ready: tests/doors/package.json
	cd tests/doors && $(NPM_INSTALL)
	touch $@

examples/codemirror/dist/main.js: examples/codemirror/package.json examples/codemirror/main.js
	cd examples/codemirror && $(NPM_INSTALL) && npm run --silent build

# The doors for Yjs clients, also the tests that take long; nothing is skipped. The pages need Chromium.
doors: setup node
	CRDTSYNC_NEED_NODE=1 CRDTSYNC_LONG_DOORS=1 $(BIN)/python -m pytest tests/doors

# The measures, side by side with the floors and with the peers that are installed; benchmarks/README.md tells more.
# Folders are made at PLACE, which should not be a tmpfs. make bench MEASURE='save keystroke' takes these only.
PLACE ?= build
MEASURE ?=
bench: bench-setup
	$(BIN)/python -m benchmarks --place $(PLACE) $(MEASURE)

# Small amounts: does it all run?
bench-quick: bench-setup
	$(BIN)/python -m benchmarks --quick --results build/bench --place $(PLACE) $(MEASURE)

# Counts of work, never seconds, of a small slice against those that are committed.
bench-check: setup
	$(BIN)/python -m benchmarks.guard

bench-setup: setup
	mkdir -p build
	$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'

# What the product is compared with; those that are not there are left out, and the results say so.
PEERS := build/peers
bench-peers:
	-apt-get install -y --no-install-recommends syncthing unison git-annex rsync lsyncd
	mkdir -p $(PEERS)/node && cp benchmarks/systems/package.json $(PEERS)/node/
	-cd $(PEERS)/node && npm install --no-audit --no-fund --no-package-lock --loglevel=error
	-$(PYTHON) -m venv $(PEERS)/pycrdt && $(PEERS)/pycrdt/bin/pip install --quiet pycrdt-websocket websockets

clean:
	rm -rf tests/doors/node_modules examples/codemirror/node_modules examples/codemirror/dist
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
