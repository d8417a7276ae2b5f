# Two commands are enough: make demo, make test. Both make .venv first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Where torch comes from. Empty: pip's own configuration. Where that would choose a CUDA build, name an index of CPU
# builds: make demo TORCH_INDEX="--index-url URL"
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
# Size of the long evaluation: small (minutes), standard (hours on 2 cores), full.
SIZE ?= standard

.PHONY: demo test results lava-random neurobench bench bench-figures peers lint types format check clean venv engine docs
.DEFAULT_GOAL := help

help:
	@echo "make demo     the whole path once: out/demo/report.html and out/demo/summary.json"
	@echo "make test     the tests"
	@echo "make results  the long evaluation behind the tables (SIZE=small|standard|full), resumable"
	@echo "make lava-random  random networks in our simulators and in real Lava"
	@echo "make neurobench  NeuroBench's metrics of the demo's network, beside our own counts"
	@echo "make check    tests, lint and types, as CI runs them"
	@echo "make engine   compile the native engine again, where its sources changed"
	@echo "make bench    this package beside other libraries: out/bench/train.json and stream.json"
	@echo "make format   rewrite the code in the house's format"

venv: engine

# The editable install has compiled it; again only where a source is newer. Without a compiler it says so and goes on.
engine: $(VENV)/.ready
	@$(BIN)/python setup.py --quiet build_ext --inplace

# torch first, so that nothing after it decides which build it is; packages whose dependencies would replace it
# (norse and nirtorch) come with --no-deps; their real needs stand in pyproject.toml. A test compares with .torch.
$(VENV)/.ready: pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH_INDEX) "$(TORCH)"
	@$(BIN)/python -c "from importlib.metadata import version; print(version('torch'))" > $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps norse nirtorch
	$(BIN)/snnface lava install
	@touch $@

demo: venv
	$(BIN)/snnface demo --out out/demo --resume

test: venv
	$(BIN)/python -m pytest

results: venv
	$(BIN)/snnface results --out out/results --size $(SIZE) --resume

# Spikes, currents and voltages of 120 random networks, in both of our simulators and in real Lava: minutes.
lava-random: venv
	$(BIN)/python tests/lava_random.py --networks 120

# The harness without its dependencies, which are not needed here; the network is the demo's.
neurobench: demo
	$(BIN)/python -m pip install --quiet --no-deps neurobench tqdm
	$(BIN)/snnface neurobench out/demo/model.net --data out/demo/test.h5 --clips 8 --out out/demo/neurobench.json

# The other libraries without their dependencies, some of which would replace torch (torchvision, torchaudio) or are
# not needed here; what they do import comes beside them.
peers: venv
	$(BIN)/python -m pip install --quiet --no-deps norse nirtorch spikingjelly sinabs
	$(BIN)/python -m pip install --quiet "loguru<1" pbr

bench: peers
	$(BIN)/snnface bench train --out out/bench/train.json
	$(BIN)/snnface bench stream --out out/bench/stream.json

# Everything that docs/bench.md shows, sweeps too: hours. What is finished is kept.
bench-figures: bench
	$(BIN)/snnface bench integer --out out/bench/integer.json
	$(BIN)/snnface bench io --out out/bench/io.json
	$(BIN)/snnface bench simulate --out out/bench/simulate.json
	$(BIN)/snnface bench stream --sweep --out out/bench/sweep-events.json --resume
	for what in density size steps batch threads; do \
		$(BIN)/snnface bench train --sweep $$what --out out/bench/sweep-$$what.json --resume || exit 1; \
	done
	$(BIN)/snnface bench figures --results out/bench --out docs

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The rooms install under one name by package-dir; a type checker finds them through a tree of links.
types: $(VENV)/.ready
	@rm -rf .types && mkdir -p .types/snnface
	@ln -s $(CURDIR)/snnface/* .types/snnface/
	@for room in converters training hardware; do ln -s $(CURDIR)/$$room .types/snnface/$$room; done
	cd .types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p snnface

format: venv
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

check: test lint types

clean:
	rm -rf out .types .pytest_cache .mypy_cache .ruff_cache
