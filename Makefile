# Needs make and Python 3.11 (or 3.12: `make PYTHON=python3.12 run`), nothing else. Everything goes into .tools/ and .venv/ here.

PYTHON ?= python3.11
PORT ?= 8080
EXTRAS ?= parquet plot
POLICY_DIR ?= my-policy
RESULTS ?= build/label-efficiency
FEDERATED ?= build/federated-prior
LONG := $(addprefix benchmarks/,label_efficiency.py federated_prior.py service.py spark.py)
UV_VERSION := 0.13.9

UV := .tools/bin/uv
UV_READY := .tools/uv-$(UV_VERSION)
RUN_READY := .venv/ready-to-run
TEST_READY := .venv/ready-to-test
LOCKED := uv.lock pyproject.toml api/pyproject.toml
BIN := .venv/bin
LOWEST := .tools/lowest/bin

# uv takes the interpreter of .tools, never another environment and never a downloaded Python.
unexport VIRTUAL_ENV
export UV_PYTHON := $(CURDIR)/.tools/bin/python
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
# One thread of linear algebra for each process: more make the small matrices of one user several times slower.
export OMP_NUM_THREADS := 1

.DELETE_ON_ERROR:
.PHONY: help run ask extras test test-lowest lint audit format types docs screenshots bench bench-labels bench-federated bench-service bench-spark lock wheels clean
.DEFAULT_GOAL := help

help: ## list what make can do
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r target says; do printf 'make %-16s%s\n' "$$target" "$$says"; done

run: $(RUN_READY) ## set up, then serve the wizard page and the REST API with the sample community; make PORT=9000 run takes another port
	$(BIN)/privwiz serve --sample sample_graphs/town --port $(PORT)

ask: $(RUN_READY) ## the wizard in the terminal, for a user of the sample community
	@mkdir -p $(POLICY_DIR)
	$(BIN)/privwiz ask --graph sample_graphs/town/edges.csv --profiles sample_graphs/town/profiles.csv --user ada \
	  --state $(POLICY_DIR)/ada.json --out $(POLICY_DIR)/ada.policy.json

extras: $(RUN_READY) ## add Parquet tables and pictures of circles to what make run set up; make EXTRAS="federated plot" extras adds what training needs
	$(UV) sync --quiet --frozen --inexact --all-packages --no-default-groups $(addprefix --extra ,$(EXTRAS))

test: $(TEST_READY) ## set up, then run every test; PYTEST="-x -k graphs" adds options
	$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST)

# Old versions warn about each other, so warnings are no errors there; the documentation shows what the locked versions print.
test-lowest: $(UV_READY) ## the quick tests with the lowest versions that pyproject.toml admits, in an environment of their own
	$(UV) venv --quiet --clear .tools/lowest
	$(UV) pip install --quiet --python $(LOWEST)/python --resolution lowest-direct -r pyproject.toml --all-extras --group test -e . -e ./api
	$(LOWEST)/python -m pytest -q -W default -m "not slow" --ignore tests/test_docs.py $(PYTEST)

lint: $(TEST_READY) ## check format, lint rules, security lint and the files in deploy/
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive -ll privwiz api/privwiz_api
	$(BIN)/hadolint deploy/Containerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml

format: $(TEST_READY) ## format, and mend what the linter can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

types: $(TEST_READY) ## check types
	$(BIN)/mypy

# Fails also where something could not be looked up: a check that checked nothing has found nothing.
audit: $(TEST_READY) ## look for known holes in the locked versions (asks an advisory service)
	@mkdir -p build
	$(UV) export --quiet --frozen --all-packages --all-extras --no-dev --no-emit-workspace --no-hashes --output-file build/locked.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement build/locked.txt

docs: $(TEST_READY) ## write the generated pages of docs/ again
	$(BIN)/python docs/cli_reference.py docs/reference/cli.md
	$(BIN)/python docs/openapi_document.py docs/openapi.json

bench: $(TEST_READY) ## run every short benchmark; each prints a table
	@for script in $(filter-out $(LONG),$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

# Needs the networks: PRIVWIZ_EGO_FACEBOOK names their folder. An interrupted run goes on where it was.
bench-labels: $(TEST_READY) ## how few answers suffice, against every rival (about 45 minutes on 2 cores); writes docs/results.md
	$(BIN)/python benchmarks/label_efficiency.py --out $(RESULTS)
	$(BIN)/python docs/results_page.py $(RESULTS) docs/results.md --readme README.md

# Needs the networks too, and goes on where it was.
bench-federated: $(TEST_READY) ## priors trained through secure sums, with and without noise (about 40 minutes on one core); writes docs/federated-results.md
	$(BIN)/python benchmarks/federated_prior.py --out $(FEDERATED)
	$(BIN)/python docs/federated_page.py $(FEDERATED) docs/federated-results.md

bench-service: $(TEST_READY) ## the service under load, beside a bare Flask route and the library (about 10 minutes)
	$(BIN)/python benchmarks/service.py

# Needs Java 17.
bench-spark: $(TEST_READY) ## what Spark costs beside the local engine, on the same users (a few minutes)
	$(BIN)/python benchmarks/spark.py

# Needs Chromium, and fonts for Chinese: on Debian, apt-get install chromium fonts-noto-cjk fonts-roboto-unhinted.
screenshots: $(TEST_READY) ## take the pictures of the wizard page again
	$(BIN)/python docs/screenshots.py docs/screenshots

lock: $(UV_READY) ## resolve the dependencies again
	$(UV) lock

wheels: $(UV_READY) ## build the wheels of both distributions into dist/
	rm -rf dist
	$(UV) build --quiet --all-packages --wheel --out-dir dist

clean: ## remove everything that make made, except what was said: my-policy/ and privwiz-sample.db
	rm -rf .tools .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --inexact: `make run` takes nothing away that `make test` installed.
$(RUN_READY): $(UV_READY) $(LOCKED)
	$(UV) sync --quiet --frozen --inexact --all-packages --no-default-groups
	@touch $@

$(TEST_READY): $(UV_READY) $(LOCKED)
	$(UV) sync --quiet --frozen --all-packages --all-extras --all-groups
	@touch $@ $(RUN_READY)

$(UV_READY):
	@command -v "$(PYTHON)" >/dev/null || { echo "make: $(PYTHON) is not installed; install Python 3.11, or name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { echo "make: $(PYTHON) is not Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo "make: $(PYTHON) comes without venv; on Debian and Ubuntu install python3.11-venv" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
