"""The catalog reads without importing, and what it reads is what runs."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness import catalog
from harness.catalog import Catalog, Found
from harness.errors import InputError
from harness.registry import RECIPE_GIVEN
from harness.settings import Choice, Range
from harness.templates import Template

WRITTEN = [found for found in catalog.iterate() if found.module is not None]
METHOD = '''
"""A module."""
from harness.registry import method
from harness.method import Method
from harness.settings import setting, choice, log_uniform
from .base import Base, WIDTH
RANKS = (2, 4)
@method("{name}", paper="arXiv:1", needs=("features",), tags=("text", *{tags!r}))
class Mine(Base):
    """Mine, in a line.

    More of it.
    """
    version = 1 + 1
    rank: int = setting(WIDTH // 2, at_least=1, search=choice(*RANKS, 8))
    rate: "float" = setting(1e-3, above=0, search=log_uniform(1e-4, 1e-1), help="of learning")
    labels = ("a", "b")
    floor = 1 / len(labels)
    made = [n for n in RANKS]
'''
BASE = """
from harness.method import Method
from harness.settings import setting
WIDTH = 2 ** 3
class Base(Method):
    steps: int = setting(100, at_least=1)
    rank: int = setting(1)
    made = "literal"
    random = ("data",)
raise RuntimeError("whoever imports this has imported it")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(METHOD.format(name="mine", tags=["own"]), encoding="utf-8")
    (tmp_path / "base.py").write_text(BASE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo `catalog.use` afterwards."""
    monkeypatch.setenv("HARNESS_ENTRIES", "")
    catalog.refresh()
    yield
    monkeypatch.undo()
    catalog.refresh()


def read(folder: Path, **options: Any) -> Catalog:
    return Catalog({"pkg": folder}, bases={"harness": Path(catalog.__file__).parents[1]}, **options)


@pytest.mark.parametrize("found", WRITTEN, ids=lambda found: f"{found.kind}-{found.name}")
def test_what_is_read_is_what_runs(found: Found) -> None:
    target = catalog.load(found.kind, found.name)
    entry = target.entry
    assert (entry.kind, entry.name) == (found.kind, found.name)
    for key in ("paper", "needs", "tags", "emits"):
        assert found.declared.get(key, getattr(type(entry), key)) == getattr(entry, key), key
    docs = [inspect.cleandoc(doc) for doc in (sys.modules[target.__module__].__doc__, target.__doc__) if doc]
    assert found.doc in ("\n\n".join(docs), docs[-1]), "with the module's own where the entry is alone in it"
    if inspect.isfunction(target):  # a recipe's keyword arguments are its settings
        given = {name: item.default for name, item in inspect.signature(target).parameters.items() if name not in RECIPE_GIVEN}
        assert {name: item.setting.default for name, item in found.settings.items()} == given
        return
    assert {name: item.setting for name, item in found.settings.items()} == dict(getattr(target, "settings", {}))
    for name, item in found.settings.items():
        written = next(base.__annotations__.get(name) for base in target.__mro__ if name in vars(base))
        assert item.annotation == ast.unparse(ast.parse(written, mode="eval")), name
    for name, value in found.attributes.items():
        assert _as_read(getattr(target, name)) == value, name


def _as_read(value: Any) -> Any:
    if isinstance(value, Template):
        return asdict(value)
    return {key: _as_read(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_every_registered_class_was_found() -> None:
    from harness.registry import _registered

    for found in WRITTEN:
        catalog.load(found.kind, found.name)
    ours = {
        key
        for key, target in _registered.items()
        if target.__module__.startswith(("harness.methods.", "harness.tasks.", "harness.metrics."))
    }
    assert ours <= {(found.kind, found.name) for found in WRITTEN}


def test_nothing_in_our_own_files_is_unreadable() -> None:
    assert [problem.one_line() for problem in catalog.problems()] == []


def test_reading_imports_neither_the_entries_nor_anything_heavy() -> None:
    script = "from harness import catalog; list(catalog.iterate()); import sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "pandas", "numpy", "jinja2", "pydantic"} & set(modules)
    assert not [name for name in modules if name.startswith(("harness.methods.", "harness.tasks.", "harness.reports."))]


def test_a_class_is_read_with_its_bases_and_constants(folder: Path) -> None:
    (found,) = read(folder).entries("method")
    assert (found.name, found.summary, found.paper, found.tags) == ("mine", "A module.", "arXiv:1", ("text", "own"))
    assert found.doc == "A module.\n\nMine, in a line.\n\nMore of it.", "alone in its module"
    assert found.declared["needs"] == ("features",)
    assert found.attributes["version"] == 2 and found.attributes["floor"] == 0.5
    assert found.attributes["random"] == ("data",), "from the base"
    assert found.attributes["task_kinds"] == ("classification", "choice"), "from harness.method.Method"
    assert found.computed == ("made",), "what a comprehension gives is known only when it runs, and hides the base's literal"
    assert list(found.settings) == ["steps", "rank", "rate"]
    rank, rate = found.settings["rank"], found.settings["rate"]
    assert (rank.annotation, rank.setting.default, rank.setting.search) == ("int", 4, Choice((2, 4, 8)))
    assert rate.setting.search == Range(1e-4, 1e-1, log=True) and rate.setting.help == "of learning"


def test_settings_that_are_not_literal_are_a_problem_with_its_place(folder: Path) -> None:
    text = "from harness.registry import method\nfrom harness.settings import setting\n@method('odd')\nclass Odd:\n    x: int = setting(len(dir()))\n"
    (folder / "odd.py").write_text(text, encoding="utf-8")
    found = read(folder)
    assert found.find("method", "mine").name == "mine", "the others are found all the same"
    assert [(Path(p.file or "").name, p.line) for p in found.problems] == [("odd.py", 5)]
    assert "setting x of Odd is not literal" in found.problems[0].message


def test_a_file_with_a_syntax_error_breaks_only_itself_and_is_named_when_something_is_missing(folder: Path) -> None:
    (folder / "broken.py").write_text("def f(:\n", encoding="utf-8")
    found = read(folder)
    assert [entry.name for entry in found.entries("method")] == ["mine"]
    with pytest.raises(InputError, match=r"broken\.py:1"):
        found.find("method", "broken")


def test_unknown_names_and_kinds_name_their_neighbours(folder: Path) -> None:
    found = read(folder)
    with pytest.raises(InputError, match=r"unknown method 'mime'; did you mean mine\? \(see `harness list methods`\)"):
        found.find("method", "mime")
    with pytest.raises(InputError, match="did you mean mine"):
        found.find_any("min")
    with pytest.raises(InputError, match="did you mean method"):
        found.entries("methods")


def test_a_name_registered_twice_is_an_error_that_names_both_files(folder: Path) -> None:
    (folder / "again.py").write_text(METHOD.format(name="mine", tags=[]), encoding="utf-8")
    with pytest.raises(InputError, match=r"method 'mine' is registered twice: .*again\.py:\d+ and .*mine\.py:\d+"):
        read(folder).entries("method")


def test_yaml_entries_are_found_by_their_top_key(tmp_path: Path) -> None:
    files = {
        "one.yaml": "task: one\nsummary: First.\ntags: text\npaper: arXiv:2\n",
        "suites/two.yaml": "suite: two\nquestion: Which is better?\ntasks: [one]\n",
        "three.yml": "backbone: three\n",
        "other.yaml": "something: else\n",
        "bad.yaml": "task: one\ntask: two\n",
        "worse.yaml": "task: No Slug\n",
        ".hidden.yaml": "task: hidden\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = read(tmp_path)
    (task,) = found.entries("task")
    assert (task.name, task.summary, task.tags, task.paper, task.module) == ("one", "First.", ("text",), "arXiv:2", None)
    assert [entry.summary for entry in found.entries("suite")] == ["Which is better?"]
    assert [entry.name for entry in found.entries("backbone")] == ["three"]
    assert sorted(Path(problem.file or "").name for problem in found.problems) == ["bad.yaml", "worse.yaml"]


def settled(folder: Path) -> None:
    """Files changed within the last seconds are not cached, since they may change again within one tick of the clock."""
    past = time.time() - 100
    for file in folder.rglob("*.*"):
        os.utime(file, (past, past))


def test_the_cache_is_used_until_a_file_or_a_constant_it_depends_on_changes(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "catalog.json"
    settled(folder)
    first = read(folder, cache=cache).find("method", "mine")
    kept = json.loads(cache.read_text(encoding="utf-8"))
    assert {key.split()[0] for key in kept["entries"]} >= {"pkg.mine", "pkg.base", "harness.method"}
    assert read(folder, cache=cache).find("method", "mine") == first
    key = next(key for key in kept["entries"] if key.startswith("pkg.mine "))
    kept["entries"][key]["value"]["classes"]["Mine"]["doc"] = "From the cache."
    cache.write_text(json.dumps(kept), encoding="utf-8")
    assert read(folder, cache=cache).find("method", "mine").doc.endswith("From the cache.")
    (folder / "base.py").write_text(BASE.replace("2 ** 3", "2 ** 4"), encoding="utf-8")
    again = read(folder, cache=cache).find("method", "mine")
    assert again.settings["rank"].setting.default == 8 and "Mine, in a line." in again.doc


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', '{"format": [1, []], "entries": 3}'])
def test_a_damaged_cache_is_ignored(folder: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "catalog.json"
    cache.write_text(damage, encoding="utf-8")
    assert read(folder, cache=cache).find("method", "mine").name == "mine"


def test_entries_damaged_inside_a_whole_cache_are_read_again(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "catalog.json"
    settled(folder)
    first = read(folder, cache=cache).find("method", "mine")
    kept = json.loads(cache.read_text(encoding="utf-8"))
    for entry in kept["entries"].values():
        entry["value"] = {"classes": {"Mine": {"settings": 3}}}
    cache.write_text(json.dumps(kept), encoding="utf-8")
    assert read(folder, cache=cache).find("method", "mine") == first


def test_a_cache_folder_that_cannot_be_made_is_no_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert read(folder, cache=tmp_path / "file" / "catalog.json").find("method", "mine").name == "mine"


@pytest.mark.usefixtures("named")
def test_a_folder_the_user_names_is_read_and_loaded_and_the_current_one_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "base.py").write_text(BASE.replace("raise RuntimeError", "print"), encoding="utf-8")
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="unknown method 'mine'"):
        catalog.find("method", "mine")
    catalog.use(folder)
    catalog.use(folder / "mine.py")  # the same file again is no duplicate
    loaded = catalog.load("method", "mine")
    assert loaded(rank=3).config == {"steps": 100, "rank": 3, "rate": 1e-3}
    assert loaded.__module__ == catalog.find("method", "mine").module
    assert str(folder) not in sys.path
    with pytest.raises(InputError, match="no such file or folder"):
        catalog.use(folder / "nothing")


@pytest.mark.usefixtures("named")
def test_an_entry_of_another_package_comes_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "their_package"
    (package / "methods").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    (package / "methods" / "__init__.py").write_text("", encoding="utf-8")
    text = "from harness.registry import method\n@method('theirs')\nclass Theirs:\n    '''Theirs.'''\n"
    (package / "methods" / "one.py").write_text(text, encoding="utf-8")
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n", encoding="utf-8")
    points = "[harness.entries]\ntheirs = their_package.methods\ngone = their_package.gone\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    catalog.refresh()
    assert catalog.find("method", "theirs").summary == "Theirs."
    assert ["their_package.gone" in problem.message for problem in catalog.problems()] == [True]
    assert "their_package" not in sys.modules


@pytest.mark.usefixtures("named")
def test_a_package_that_an_entry_needs_and_that_is_missing_is_named(folder: Path) -> None:
    text = "import no_such_package\nfrom harness.registry import method\n@method('needy')\nclass Needy: ...\n"
    (folder / "needy.py").write_text(text, encoding="utf-8")
    catalog.use(folder)
    with pytest.raises(InputError, match="method 'needy' needs the package 'no_such_package'"):
        catalog.load("method", "needy")


def test_the_first_line_of_a_docstring_is_read_without_importing() -> None:
    assert catalog.summary("harness.cli.doctor:doctor").startswith("Versions, devices")
    assert catalog.summary("harness.cli.nothing:there") == "" == catalog.summary("no_such_package.x:y")
