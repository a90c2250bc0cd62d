# Every target sets itself up: a .venv with the locked dependencies, then the package itself.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
SCHEMA := $(BIN)/check-jsonschema --builtin-schema
# Two processes keep two cores busy: threads in each would only wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 LP_NUM_THREADS=1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help setup demo test quick coverage check docs published licences sbom size wheel lock gallery clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready  ## Make .venv with every dependency, pinned and hash-checked by requirements.lock

.venv/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "reid-audit needs Python 3.11 or newer: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --use-pep517 --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.docs: .venv/.ready docs/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r docs/requirements.lock
	@touch $@

demo: setup  ## Run the main job on synthetic heads: 30 people, 2 visits, 3 defacers
	$(BIN)/reid-audit demo

test: check  ## Run the linters, the type checker and every test
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: setup  ## Run the tests that are not marked slow
	$(BIN)/python -m pytest -m "not slow"

# The absolute name keeps programs that tests start in other folders from leaving their counts there.
coverage: setup  ## Run every test and list the lines that none of them runs; fails below 92 %
	COVERAGE_FILE=$(CURDIR)/.coverage $(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term-missing

check: setup  ## Run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.docs  ## Build the site into build/docs; a warning is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

published: .venv/.docs  ## Check workflows, forms, citation and containers by their schemas and linters
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/ci.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/[0-9]-*.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.github-actions action.yml
	$(SCHEMA) vendor.citation-file-format --default-filetype yaml CITATION.cff
	$(BIN)/hadolint containers/Containerfile
	$(BIN)/shellcheck examples/gate.sh containers/entrypoint.sh .ci/run
	$(BIN)/bosh validate containers/boutiques.json

sbom: .venv/.docs  ## Write build/sbom.cdx.json (CycloneDX) from the container's lock
	@mkdir -p build
	@# A lock says what is needed, not what needs it: no graph, of which the tool warns.
	PYTHONWARNINGS="ignore:The Component this BOM is describing:UserWarning" \
		$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom.cdx.json containers/requirements.lock

licences: .venv/.docs  ## List the licences of all that an install with DeepFace brings
	@$(BIN)/pip-licenses --order license \
		--packages $$($(BIN)/python examples/measure_install.py --extras deepface | awk '!/ packages$$/ { print $$3 }')

size: setup  ## Print how much disk an install takes, by package
	$(BIN)/python examples/measure_install.py --most 1200

wheel: setup  ## Try the built wheel in an environment of its own: install, demo, validate, screen; sizes and times
	$(BIN)/python examples/try_wheel.py

lock: setup  ## Resolve the dependencies into requirements.lock (needs uv); UPGRADE=--upgrade takes newer versions
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group dev --extra all $(UPGRADE) pyproject.toml --output-file requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group docs --constraint requirements.lock $(UPGRADE) --output-file docs/requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra deepface --constraint requirements.lock pyproject.toml --output-file containers/requirements.lock
	echo hatchling | uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraint requirements.lock - --output-file containers/build.lock

gallery: setup  ## Draw the portraits in renders/ again
	$(BIN)/python examples/make_gallery.py

clean:  ## Remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist docs/made
