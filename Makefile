# Every target works on a fresh machine with Python 3.10 or newer: it makes its own .venv first.

PYTHON ?= python3
PIP_INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check
IMAGES ?=

.PHONY: demo test test-all test-oldest torture lint audit docs release clean

demo: .venv/samples  ## Enlarge sample photographs, or IMAGES="a.jpg folder", into demo/
	.venv/bin/python -m zoo.cli demo $(IMAGES) -o demo/ --overwrite

test: .venv/dev  ## The tests of a working day
	.venv/bin/python -m pytest

test-all: .venv/dev  ## The slow ones too
	.venv/bin/python -m pytest -m ""

torture: .venv/dev  ## Damaged files, killed processes, errors put into the code: for hours
	.venv/bin/python benchmarks/torture

test-oldest: .venv-oldest/dev  ## The tests with the oldest packages that pyproject.toml allows
	.venv-oldest/bin/python -m pytest

lint: .venv/dev  ## Style, types, and which way imports run
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

audit: .venv/dev  ## Known weaknesses of the packages that are installed; needs pypi.org
	$(PIP_INSTALL) pip-audit
	.venv/bin/pip-audit --skip-editable --progress-spinner off

docs: .venv/docs  ## The documentation site: open site/index.html
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

release:  ## The files of a release, and what an installation consists of (SBOM): dist/
	rm -rf dist .venv-release
	$(PYTHON) -m venv .venv-release/tools
	.venv-release/tools/bin/python -m pip install --quiet build cyclonedx-bom
	.venv-release/tools/bin/python -m build
	$(PYTHON) -m venv .venv-release/app
	.venv-release/app/bin/python -m pip install --quiet dist/*.whl
	.venv-release/tools/bin/cyclonedx-py environment .venv-release/app --output-file dist/sbom.cdx.json

clean:
	rm -rf .venv .venv-oldest .venv-release demo site build dist .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One stamp for each set of extras: a change of pyproject.toml installs again.
.venv/samples: pyproject.toml | .venv/bin/python
	$(PIP_INSTALL) --editable ".[samples]"
	touch $@

.venv/docs: pyproject.toml | .venv/bin/python
	$(PIP_INSTALL) --editable ".[docs]"
	touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	$(PIP_INSTALL) --editable ".[dev]"
	touch $@

.venv-oldest/dev: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest --resolution lowest-direct \
		--editable ".[test]"
	touch $@
