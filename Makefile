# What people run: `make run` for the sample quarter, `make test` for all tests.
PYTHON ?= python3
VENV ?= .venv
PEERS ?= .venv-peers
BACKENDS ?= .venv-backends
BIN := $(VENV)/bin
QUARTER ?= 2023Q1

.PHONY: install install-dev run test test-fast chaos chaos-long slurm e2e vllm-conformance bench bench-peers bench-embedding lint docs lock clean help

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(VENV)/.installed: requirements.lock pyproject.toml setup.py
	PYTHON=$(PYTHON) scripts/install $(VENV) requirements.lock
	touch $@

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml setup.py
	PYTHON=$(PYTHON) scripts/install $(VENV) requirements-dev.lock
	touch $@ $(VENV)/.installed

install: $(VENV)/.installed ## Make the environment: what runs quarters, locked, nothing compiled

install-dev: $(VENV)/.installed-dev ## The same with what develops and tests ftm

run: $(VENV)/.installed ## Install, then run the sample quarter to its themes and evaluate it
	scripts/timed "Ingest the sample" $(BIN)/ftm ingest sample --quarter $(QUARTER)
	scripts/timed "Run $(QUARTER)" $(BIN)/ftm run --quarter $(QUARTER)
	scripts/timed "Evaluate $(QUARTER)" $(BIN)/ftm evaluate --quarter $(QUARTER)

test: $(VENV)/.installed-dev ## Install what the tests need, lint, check types, run all tests
	scripts/timed "Test tools" scripts/install-test-tools
	scripts/timed "Infrastructure tools" scripts/install-infra-tools
	scripts/timed "Style and types" $(MAKE) lint
	scripts/timed "Tests" $(BIN)/pytest --durations=25

test-fast: $(VENV)/.installed-dev ## The unit tests that are fast, on two cores
	$(BIN)/pytest -n 2 -m "not slow and not models and not long and not e2e and not vllm" tests/unit

chaos: $(VENV)/.installed-dev ## Kills, outages, full disks and bad networks, the short form (part of `make test`)
	$(BIN)/pytest tests/chaos tests/integration/llm tests/integration/pipeline

chaos-long: $(VENV)/.installed-dev ## The same at length: hundreds of kills and restarts
	$(BIN)/pytest -m "long or not long" tests/chaos tests/integration/llm tests/integration/pipeline

slurm: $(VENV)/.installed-dev ## All tests on a real Slurm of this machine (scripts/slurm-up), some minutes each
	$(BIN)/pytest -m "long or not long" tests/chaos/test_slurm.py

e2e: $(VENV)/.installed-dev ## Build the images, deploy on emulated AWS, run a quarter in containers, destroy
	scripts/install-e2e-tools
	$(BIN)/pytest -m e2e tests/e2e

vllm-conformance: $(VENV)/.installed-dev ## The LLM client's contract against the real vLLM on this CPU
	PYTHON=$(BIN)/python scripts/vllm-serve $(BIN)/pytest \
		-m "vllm or not vllm" tests/conformance

BENCHES := startup first_firm input_output memory_curve quarter_on_paper embedding map_firms overlap \
	llm_throughput reduce_scale finished_commands report_scale

bench: $(VENV)/.installed-dev ## Ratios against what one would use instead, and what a quarter takes
	for name in $(BENCHES); do $(BIN)/python -m bench.$$name || exit 1; done
	$(BIN)/python -m scripts.write_reference docs/reference

$(PEERS)/.installed: bench/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check -r bench/peers.txt
	touch $@

bench-peers: $(VENV)/.installed-dev $(PEERS)/.installed ## Other tools on the sample quarter, which `make run` has made
	$(BIN)/python -m bench.peers --data data --quarter $(QUARTER)

# The project's own packages stay as they are; only what they lack is installed beside them.
$(BACKENDS)/.installed: bench/backends.txt $(VENV)/.installed-dev
	$(BIN)/python -m venv $(BACKENDS)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$($(BACKENDS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/ftm.pth"
	$(BACKENDS)/bin/pip install --quiet --disable-pip-version-check -r bench/backends.txt
	touch $@

bench-embedding: $(BACKENDS)/.installed ## Ways to embed on the CPU: backends, threads and processes, passes
	$(BACKENDS)/bin/python -m bench.embedding_backends

lint: $(VENV)/.installed-dev ## Style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev ## Write the generated pages of docs/reference from the code
	$(BIN)/python -m scripts.write_reference docs/reference

COMPILE := $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock: $(VENV)/.installed-dev ## Resolve the lock files again (Python 3.11 on Linux)
	$(COMPILE) --extra all --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra all --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	# Extras name the project itself, which is no package to install from a lock. A CPU wheel of
	# PyTorch names its build in its version; the lock must not ask for that build elsewhere.
	sed -i -e '/^ftm @/d' -e 's/^\(torch==[0-9.]*\)+.*/\1/' requirements.lock requirements-dev.lock

clean: ## Remove the environment and the caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info
