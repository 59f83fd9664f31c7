# Every target sets up what it needs: Python >= 3.11, make and the package registries are all that a machine must have.
PYTHON ?= python3
MESSAGE ?= Hello! What can you do?
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
BENCH_ARGS ?=
WEBCHAT_ARGS ?=

.PHONY: help chat webchat check format test test-gateway chaos bench coverage gateways clean

help:
	@echo "make chat [MESSAGE=…]  talk to the embedded gateway"
	@echo "make webchat           a chat in the browser for several users, with a gateway of its own"
	@echo "make test              all tests that need no real gateway"
	@echo "make test-gateway      contract and chaos tests on four real OpenClaw releases (installs them; takes minutes)"
	@echo "make chaos [SEED=…]    cuts at every frame, ten minutes of random faults, killed gateways (takes an hour)"
	@echo "make bench             measures this client beside others; writes docs/performance.md (BENCH_ARGS=--quick: a minute)"
	@echo "make check             formatting, lint, types"
	@echo "make coverage          branch coverage of the pure layers"

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

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-gateway: gateways
	$(BIN)/python -m pytest tests/contract tests/chaos --gateways=real $(PYTEST_ARGS)

chaos: gateways
	$(BIN)/python -m pytest tests/chaos --chaos=full $(if $(SEED),--chaos-seed=$(SEED)) --chaos-report=chaos-embedded.json $(PYTEST_ARGS)
	$(BIN)/python -m pytest tests/chaos --chaos=full --gateways=real --chaos-report=chaos-real.json $(PYTEST_ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(BENCH_ARGS)

gateways: $(VENV)/.dev
	$(BIN)/python -m tests.gateways.install

coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/wire tests/protocol tests/policy tests/runs
	$(BIN)/coverage report --fail-under=100 \
		--include='src/openclaw_client/wire/*,src/openclaw_client/protocol/*,src/openclaw_client/policy/*,src/openclaw_client/runs/*'

$(VENV)/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; try: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[cli,speed]"
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --group hosts
	@touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
