# `make check` is what CI asks before the tests plus the quick tests; `make ci` is all of it, as CI runs it.
.PHONY: check format test ci

check:
	ruff check .
	ruff format --check .
	.ci/types
	pytest -m "not slow and not browser and not gpu"

format:
	ruff check --fix .
	ruff format .

test:
	pytest

ci:
	.ci/run
