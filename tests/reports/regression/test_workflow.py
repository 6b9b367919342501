"""The workflow of docs/regression-tracking.md: parsed, and its steps run in order in a shell, as GitHub runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from harness.reports.regression.settings import read_settings

DOCS = Path(__file__).parents[3] / "docs" / "regression-tracking.md"
SHIM = """#!/bin/bash
if [ "$1" = run ]; then
  [ "$2" = quickstart ] && [ "$3" = --store ] && cp -r "$FAKE_RUN" "$4" && exit 1  # some trials failed
  exit 2
fi
exec {python} -m harness.cli "$@"
"""


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture(name="workflow")
def workflow_fixture():
    return yaml.safe_load(block("yaml"))


def test_it_is_a_workflow(workflow):
    assert set(workflow) == {"name", True, "permissions", "concurrency", "env", "jobs"}  # YAML 1.1 reads `on` as true
    [job] = workflow["jobs"].values()
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z-]+(/[a-z]+)?@v\d+", step.get("uses", "actions/x@v1"))
        assert set(step) <= {"name", "uses", "run", "if", "with", "env", "id"}
    for text in re.findall(r"\$\{\{(.*?)\}\}", block("yaml")):
        assert re.fullmatch(r"[\w. ='|&()!]+", text)


def test_the_settings_file_is_one(tmp_path):
    (tmp_path / "compare.toml").write_text(block("toml"))
    assert dict(read_settings(tmp_path / "compare.toml").margins.by_glob) == {"*": 0.01, "rte/accuracy": 0.02}


def holds(condition: str, folder: Path, event: str, *, ok: bool, bless: bool) -> bool:
    """A step's `if`, for the few functions and operators that are used; without always() it includes success()."""

    def hash_files(pattern: str) -> str:
        return "x" if any(path.is_file() for path in folder.glob(pattern.replace("**", "**/*"))) else ""

    request = SimpleNamespace(head=SimpleNamespace(repo=SimpleNamespace(full_name="a/b")), number=7)
    github = SimpleNamespace(event_name=event, repository="a/b", event=SimpleNamespace(pull_request=request))
    text = condition.replace("&&", " and ").replace("||", " or ").replace("!(", " not (")
    names = {"hashFiles": hash_files, "github": github, "always": lambda: True, "inputs": SimpleNamespace(bless=bless)}
    return (ok or "always()" in condition) and bool(eval(text, {"__builtins__": {}}, names))


def perform(workflow, folder: Path, run: Path, event: str, *, bless: bool = False) -> dict[str, int]:
    """Exit codes by step name of the steps that a job of this event would run in `folder`."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, text in (
        ("harness", SHIM.format(python=sys.executable)),
        ("gh", '#!/bin/bash\necho "$@" >> gh.log\n[ "$4" != --edit-last ]\n'),
    ):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for leftover in ("results", "compare.md", "compare.xml", "compare.json", "trend.html"):
        shutil.rmtree(folder / leftover, ignore_errors=True)
        (folder / leftover).unlink(missing_ok=True)
    (folder / "compare.toml").write_text(block("toml"))
    environment = os.environ | workflow["env"] | {
        "PATH": f"{tools}:{os.environ['PATH']}", "FAKE_RUN": str(run), "GITHUB_SHA": f"sha-of-{run.name}", "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "PR": "7",
    }  # fmt: skip
    codes: dict[str, int] = {}
    [job] = workflow["jobs"].values()
    for step in job["steps"]:
        wanted = holds(step.get("if", "True"), folder, event, ok=not any(codes.values()), bless=bless)
        if "run" not in step or step["name"] == "Install" or not wanted:
            continue
        done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        codes[step["name"]] = done.returncode
        assert "Traceback" not in done.stderr, done.stderr
    return codes


def test_it_works_as_written(workflow, run_suite, export, tmp_path):
    small = {"examples": 200, "arms": ("lora", "bitfit"), "tasks": ("rte",)}
    good, lost = export(run_suite(1, **small), tmp_path / "good"), export(run_suite(2, shift=-2.0, **small), tmp_path / "lost")
    folder = tmp_path / "checkout"
    folder.mkdir()

    first = perform(workflow, folder, good, "push")
    assert first == {"Run the suite": 0, "Append to the history": 0, "Bless": 0}
    blessed = (folder / "guard/baselines/main.json").read_text()

    same = perform(workflow, folder, good, "pull_request")
    assert same == {"Run the suite": 0, "Compare with the baseline": 0, "Show the comparison": 0, "Comment on the pull request": 0}

    worse = perform(workflow, folder, lost, "pull_request")
    assert worse["Compare with the baseline"] == 1 and worse["Show the comparison"] == worse["Comment on the pull request"] == 0
    assert "FAIL (regression)" in (folder / "summary.md").read_text() and (folder / "compare.xml").exists()
    assert (folder / "gh.log").read_text().splitlines()[-1] == "pr comment 7 --body-file compare.md"

    merged = perform(workflow, folder, lost, "push")
    assert merged["Compare with the baseline"] == 1 and merged["Append to the history"] == 0 and "Bless" not in merged
    assert (folder / "guard/baselines/main.json").read_text() == blessed

    accepted = perform(workflow, folder, lost, "workflow_dispatch", bless=True)
    assert accepted == {"Run the suite": 0, "Append to the history": 0, "Bless": 0}
    assert (folder / "guard/baselines/main.json").read_text() != blessed
    assert "sha-of-lost" in (folder / "guard/history.jsonl").read_text() and (folder / "trend.html").exists()
