"""`harness new`: the skeletons work as they are, are short, and overwrite nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import catalog
from harness.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HARNESS_ENTRIES", "")
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.undo()
    catalog.refresh()


def test_the_skeletons_pass_their_own_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "method", "my-idea", "--into", "mine"]) == 0
    assert main(["new", "task", "my-task", "--into", "mine"]) == 0
    assert main(["new", "task", "my-world", "--python", "--into", "mine"]) == 0
    said = capsys.readouterr().out
    assert "pytest mine/test_my_idea.py" in said and "harness show my-idea --entries mine" in said
    names = {"my_idea.py", "test_my_idea.py", "my_task.yaml", "my_task.jsonl", "test_my_task.py", "my_world.py", "test_my_world.py"}
    assert {file.name for file in Path("mine").iterdir()} == names
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mine"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-3000:]
    assert "12 passed" in done.stdout
    assert main(["show", "my-idea", "--entries", "mine"]) == 0
    assert "one of 8, 16, 32" in capsys.readouterr().out


def test_the_method_is_one_screen_and_as_tidy_as_our_own(tmp_path: Path) -> None:
    main(["new", "method", "my-idea"])
    main(["new", "task", "my-world", "--python"])
    assert 40 <= len(Path("my_idea.py").read_text(encoding="utf-8").splitlines()) <= 80
    options = ["--config", str(ROOT / "pyproject.toml"), "--config", "lint.isort.known-first-party=['harness']", "."]
    for command in (["check", *options], ["format", "--check", "--config", str(ROOT / "pyproject.toml"), "."]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten_and_nothing_half_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("test_my_task.py").write_text("mine", encoding="utf-8")
    assert main(["new", "task", "my-task"]) == 2
    assert "test_my_task.py: is there already" in capsys.readouterr().err
    assert [file.name for file in Path().iterdir()] == ["test_my_task.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method", "My Idea"], "method name 'My Idea' will not do"),
        (["method", "2d"], "a letter first"),
        (["method", "../x"], "will not do"),
        (["method", "majority"], "there is a method 'majority' already"),
        (["metod", "x"], "metod"),
        (["method"], "Missing argument"),
    ],
)
def test_bad_names_are_refused_and_nothing_is_written(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_in_a_checkout_code_and_test_go_to_their_own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.cli import new

    for folder in ("methods", "tests", "harness/cli"):
        Path(folder).mkdir(parents=True)
    Path("methods/__init__.py").touch()
    Path("pyproject.toml").touch()
    monkeypatch.setattr(new, "__file__", str(tmp_path / "harness" / "cli" / "new.py"))
    assert main(["new", "method", "my-idea"]) == 0
    assert Path("methods/my_idea.py").is_file()
    assert "catalog.use" not in Path("tests/methods/test_my_idea.py").read_text(encoding="utf-8")


def test_a_folder_that_is_a_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert main(["new", "method", "my-idea", "--into", "file"]) == 2
    assert "is no folder" in capsys.readouterr().err
