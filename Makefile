# Every target sets up what it needs: Python >= 3.11, make and the package registries are all that a machine must have.
PYTHON ?= python3
MESSAGE ?= Hello! What can you do?
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
RELEASES ?=
FACES ?= ends
BENCH_ARGS ?=
WEBCHAT_ARGS ?=

CONSTRAINTS ?=

RUNS ?= 2000
STEPS ?= 60
SEQUENCES ?= 10000
SEEDS ?= 10

MINUTES ?= 30
UNKNOWN ?= 1000000
FORKS ?= 300

KILLS ?= 100
REAL_KILLS ?= 20
CRASH_RELEASES := $(or $(RELEASES),2026.9.6 2026.6.1 2026.4.15 2026.2.17)

# What leans on Python itself, on asyncio and on picows. The newest Python of a machine runs both: the pure layers with
# coverage, so that nothing of them runs twice there.
PURE := tests/wire tests/protocol tests/policy tests/runs tests/sessions tests/tools tests/journal/test_contract.py \
	tests/journal/test_delivery.py
NEXT := tests/transport tests/connection tests/sync tests/test_public_names.py
NEWEST = PYTHON="$$($(BIN)/python -m tests.pythons --newest)" VENV=.cache/venv-newest

# Those of the layer that need neither a clock nor a loop.
T := src/openclaw_client/tools
PURE_TOOLS := $T/call.py,$T/docstring.py,$T/names.py,$T/results.py,$T/schema.py,$T/signature.py,$T/tool.py

J := src/openclaw_client/journal
PURE_JOURNAL := $J/ages.py,$J/delivery.py,$J/protocol.py

.PHONY: help chat webchat check format test test-next test-newest test-pythons test-lowest test-gateway chaos chaos-crash soak life \
	simulation bench coverage measure-coverage gateways clean

help:
	@echo "make chat [MESSAGE=…]  talk to the embedded gateway"
	@echo "make webchat           a chat in the browser for several users, with a gateway of its own"
	@echo "make test              all tests that need no real gateway"
	@echo "make test-newest       the layers next to Python on its newest version on this machine, but for those of make coverage"
	@echo "make test-pythons      all of make test on each Python of this machine, with the newest dependencies"
	@echo "make test-lowest       all of make test with the lowest dependencies"
	@echo "make test-gateway [RELEASES=\"2026.5.12 2026.9.6\"]  contract and chaos tests on real OpenClaw releases"
	@echo "                       (installs them; two at a time; without names: all, as CI; half an hour; FACES=both: the"
	@echo "                       blocking client on every release, not on the oldest and the newest alone)"
	@echo "make chaos [SEED=…]    cuts at every frame, ten minutes of random faults, killed gateways (takes an hour)"
	@echo "make chaos-crash [KILLS=… REAL_KILLS=… SEED=…]  an application with a journal is killed KILLS times on each of four"
	@echo "                       embedded releases and REAL_KILLS times on the real ones (half an hour)"
	@echo "make soak [MINUTES=… SEED=… UNKNOWN=… FORKS=…]  forks beside a first connect, then whether memory stays where it is:"
	@echo "                       a million things that nobody knows, of each kind (together ten minutes), and 32 clients on"
	@echo "                       bad lines (half an hour)"
	@echo "make life [RUNS=… STEPS=… SEQUENCES=…]  one run against a model of a gateway: RUNS scripts of STEPS moves each (a"
	@echo "                       minute), and against SEQUENCES bad connections (20 seconds)"
	@echo "make simulation [SEEDS=…]  many users for hours at gateways that break, SEEDS times (two minutes); make test: three"
	@echo "make bench             measures this client beside others; writes docs/performance.md (BENCH_ARGS=--quick: a minute)"
	@echo "make check             formatting, lint, types"
	@echo "make coverage          branch coverage of the pure layers and of sessions, on the newest Python of this machine"

# Through the environment, as it was written: neither make nor the shell reads it.
chat: export CHAT_MESSAGE = $(value MESSAGE)
chat: $(VENV)/.base
	@$(BIN)/openclaw-client chat --embedded -- "$$CHAT_MESSAGE"

webchat: $(VENV)/.base
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group webchat
	@$(BIN)/python -m examples.webchat $(WEBCHAT_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --warnings

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Most tests wait for something most of the time: three processes leave two cores idle for more than half of it.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist loadfile $(PYTEST_ARGS)

test-next: $(VENV)/.dev
	$(BIN)/python --version
	$(BIN)/python -m pytest -q -n 3 --dist loadfile $(NEXT) $(PYTEST_ARGS)

test-newest: $(VENV)/.dev
	$(MAKE) test-next $(NEWEST)

# A folder of its own for each, made anew: what is installed is what a user gets today.
test-pythons: $(VENV)/.dev
	@failed=; for python in $$($(BIN)/python -m tests.pythons); do \
		echo "== $$($$python --version)"; rm -rf .cache/venv-each; \
		$(MAKE) test PYTHON="$$python" VENV=.cache/venv-each || failed="$$failed $$python"; \
	done; rm -rf .cache/venv-each; test -z "$$failed" || { echo "failed on:$$failed"; exit 1; }

test-lowest: $(VENV)/.dev
	rm -rf .cache/venv-lowest && mkdir -p .cache
	$(BIN)/python -m tests.pythons --lowest > .cache/lowest.txt
	$(MAKE) test VENV=.cache/venv-lowest CONSTRAINTS="$(CURDIR)/.cache/lowest.txt"

test-gateway: $(VENV)/.dev
	$(BIN)/python -m tests.gateways.side_by_side $(RELEASES) -- --faces=$(FACES) $(PYTEST_ARGS)

chaos: gateways
	$(BIN)/python -m pytest tests/chaos --chaos=full $(if $(SEED),--chaos-seed=$(SEED)) --chaos-report=chaos-embedded.json $(PYTEST_ARGS)
	$(BIN)/python -m pytest tests/chaos --chaos=full --gateways=real --chaos-report=chaos-real.json $(PYTEST_ARGS)

chaos-crash: $(VENV)/.dev
	$(BIN)/python -m tests.gateways.install $(CRASH_RELEASES)
	$(BIN)/python -m tests.crash --kills $(KILLS) --releases "$(CRASH_RELEASES)" $(if $(SEED),--seed $(SEED)) --report crash-embedded.json
	$(BIN)/python -m tests.crash --real --kills $(REAL_KILLS) --releases "$(CRASH_RELEASES)" $(if $(SEED),--seed $(SEED)) --report crash-real.json

soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak.forks --forks $(FORKS) $(if $(SEED),--seed $(SEED))
	UNKNOWN=$(UNKNOWN) $(BIN)/python -m pytest -q -s --timeout=0 tests/behaviour/test_unknown.py $(PYTEST_ARGS)
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

life: $(VENV)/.dev
	LIFE_RUNS=$(RUNS) LIFE_STEPS=$(STEPS) STORM_SEQUENCES=$(SEQUENCES) $(BIN)/python -m pytest -q tests/runs/test_life.py \
		tests/runs/test_storm.py --timeout=0 $(PYTEST_ARGS)

simulation: $(VENV)/.dev
	SIMULATION_SEEDS=$(SEEDS) $(BIN)/python -m pytest -q -n 2 tests/simulation --timeout=0 $(PYTEST_ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(BENCH_ARGS)

gateways: $(VENV)/.dev
	$(BIN)/python -m tests.gateways.install $(RELEASES)

coverage: $(VENV)/.dev
	$(MAKE) measure-coverage $(NEWEST)

measure-coverage: $(VENV)/.dev
	$(BIN)/python --version
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 2 $(PURE) $(PYTEST_ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=100 \
		--include='src/openclaw_client/wire/*,src/openclaw_client/protocol/*,src/openclaw_client/policy/*,src/openclaw_client/runs/*,src/openclaw_client/sessions/*,$(PURE_TOOLS),$(PURE_JOURNAL)'

$(VENV)/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; try: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[cli,speed]" \
		$(if $(CONSTRAINTS),--constraint "$(CONSTRAINTS)")
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --group hosts \
		$(if $(CONSTRAINTS),--constraint "$(CONSTRAINTS)")
	@touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
