# Needs Python 3.11 or newer, pip and make. `PYTHON=/path/to/python3 make test` names the interpreter.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test thespian thespian-tcp node check bench torture clean

READY := .venv/.ready
LINK := build/link/greenroom
NODE := tests/node/node_modules/.ready

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 ~/p' $(MAKEFILE_LIST) | tr '~' '\t'

demo: $(READY) ## play the recorded call: webhooks, analytics, metrics and a plot in demo-out/
	@mkdir -p demo-out
	.venv/bin/greenroom replay replay/data/call.jsonl.gz --receiver \
	    --analytics-out demo-out/analytics.jsonl --metrics-out demo-out/metrics.txt \
	    --plot demo-out/call.png

test: $(READY) ## all tests
	@.venv/bin/pytest

thespian: $(READY) ## Thespian's own tests on greenroom's in-process base
	@PYTHONPATH=tests/thespian .venv/bin/pytest -c tests/thespian/pytest.ini

thespian-tcp: $(READY) ## Thespian's own tests for its TCP base on greenroom's authenticated one
	@PYTHONPATH=tests/thespian .venv/bin/pytest -c tests/thespian/secure.ini

node: $(NODE) ## Node.js and the JavaScript libraries that tests/node judges our signatures with

check: $(READY) $(LINK) ## style, types and layers
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

bench: $(READY) ## every benchmark; figures in bench-out/*.json
	@mkdir -p bench-out
	@set -e; for name in actors ingest webhooks processes durability; do \
	    .venv/bin/python bench/$$name.py --json bench-out/$$name.json; \
	done

torture: $(READY) ## kill a node under load, N=1000 times [SEED=]; the accounts in torture.json
	@.venv/bin/python -m greenroom.testing.crash --rounds $(or $(N),1000) --seed $(or $(SEED),0) \
	    --json torture.json

clean: ## remove what make made
	rm -rf .venv build demo-out bench-out torture.json *.egg-info .mypy_cache .pytest_cache .ruff_cache \
	    .import_linter_cache .hypothesis tests/node/node_modules

# Type checkers do not see an editable install; through this link the root has the package's name.
$(LINK):
	@mkdir -p build/link
	@ln -s ../.. $(LINK)

# Node.js comes as a wheel, so that it is the same everywhere; npm finds it on the path.
$(NODE): $(READY) tests/node/package-lock.json
	@echo "setting up Node.js and what tests/node needs (once)"
	@PIP_USE_PEP517=1 .venv/bin/python -m pip install --quiet --disable-pip-version-check \
	    --editable '.[node]'
	@cd tests/node && PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci \
	    --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $(NODE)

$(READY): pyproject.toml
	@echo "setting up .venv (once)"
	@found=; \
	for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        found=$$python; break; \
	    fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "greenroom needs Python 3.11 or newer; $(or $(PYTHON),python3) is:" >&2; \
	    $(or $(PYTHON),python3) --version >&2; \
	    echo "Install a newer one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi; \
	"$$found" -m venv .venv
	@PIP_USE_PEP517=1 .venv/bin/python -m pip install --quiet --disable-pip-version-check \
	    --editable '.[dev,cli,plot]'
	@touch $(READY)
