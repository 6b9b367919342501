"""What holds of the whole source tree: which way imports run, one name for each package, docstrings, no machine's own paths."""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"harness": "harness", "methods": "harness.methods", "tasks": "harness.tasks", "reports": "harness.reports"}
PARTS = ("methods", "tasks", "reports")
FORBIDDEN = {"harness": PARTS, "reports": ("methods", "tasks"), "methods": ("reports",), "tasks": ("reports", "methods")}


def modules(folder: str) -> Iterator[tuple[Path, str]]:
    """(file, module name) of every module of a top-level folder."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        parts = file.relative_to(ROOT / folder).with_suffix("").parts
        yield file, ".".join([PACKAGES[folder], *(part for part in parts if part != "__init__")])


def imports(file: Path, module: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything a file imports, wherever in it; relative names are made absolute."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("folder", PACKAGES)
def test_imports_run_one_way(folder: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file, module in modules(folder)
        for line, name in imports(file, module)
        for part in FORBIDDEN[folder]
        if (name + ".").startswith((f"harness.{part}.", f"{part}."))
    ]
    assert wrong == [], "the engine finds entries through the catalog, and verbs as lazy strings"


@pytest.mark.parametrize("folder", PACKAGES)
def test_no_module_is_imported_under_its_folders_bare_name(folder: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file, module in modules(folder)
        for line, name in imports(file, module)
        if name.partition(".")[0] in PARTS
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", PARTS)
def test_the_bare_name_cannot_be_imported(folder: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"import harness.{folder}, not {folder}" in done.stderr


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_public_module_says_what_it_is(folder: str) -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file, _ in modules(folder)
        if (file.name == "__init__.py" or not file.name.startswith("_")) and not ast.get_docstring(ast.parse(file.read_bytes()))
    ]
    assert silent == []


def test_every_package_folder_is_listed_for_installation() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {module if file.name == "__init__.py" else module.rpartition(".")[0] for folder in PACKAGES for file, module in modules(folder)}
    assert set(settings["packages"]) == found
    assert settings["package-dir"] == {name: folder for folder, name in PACKAGES.items()}


def test_every_data_file_of_a_package_is_installed_with_it() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    left_out = []
    for file in committed():
        folder, *rest = file.relative_to(ROOT).parts
        if folder in PACKAGES and rest and file.suffix != ".py":
            known = patterns.get(PACKAGES[folder], [])
            if not any(fnmatch.fnmatch(file.name, pattern.removeprefix("**/")) for pattern in known):
                left_out.append(str(file.relative_to(ROOT)))
    assert left_out == []


def test_every_package_folder_has_its_init() -> None:
    folders = {file.parent for folder in PACKAGES for file, _ in modules(folder)}
    assert [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def committed() -> list[Path]:
    """Files under version control and those about to be; all files where this is no checkout."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


# Put together from pieces, so that this file does not match itself. Examples in tests may use the invented users below.
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}])/(?:" + "|".join(["home", "Users", "root", "work", "mnt", "opt/" + "venv"]) + r")/(?!alice\b|bob\b)[\w.-]+"
)


def test_no_committed_text_holds_a_path_of_one_machine() -> None:
    found = []
    for file in committed():
        data = file.read_bytes()
        if b"\0" in data[:4096] or file.suffix in (".safetensors", ".parquet", ".png"):
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if match := MACHINE_PATH.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {match.group()}")
    assert found == []


def test_the_pattern_of_a_machines_path_finds_what_it_should() -> None:
    assert MACHINE_PATH.search("see " + "/ho" + "me/me/data.json") and MACHINE_PATH.search('"' + "/wo" + 'rk/main/x"')
    assert not MACHINE_PATH.search("https://example.org/home/page") and not MACHINE_PATH.search("~/work/main, $HOME/work/x")


def test_the_licence_is_the_whole_of_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert len(text) == 11358 and "END OF TERMS AND CONDITIONS" in text and "APPENDIX: How to apply" in text


def test_pytest_imports_by_importlib_so_that_no_folder_gets_onto_the_path() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "--import-mode=importlib" in settings["addopts"]
