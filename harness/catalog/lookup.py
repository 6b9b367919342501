"""Where entries are looked for, finding them by name, and importing the one that is wanted."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import safe_yaml
from harness.catalog.cache import cache_folder
from harness.catalog.entries import Found, python_entries, yaml_entry
from harness.catalog.sources import Sources
from harness.errors import InputError, unknown_name
from harness.registry import KINDS, registered

PACKAGES = ("harness.methods", "harness.tasks", "harness.backbones", "harness.metrics")
GROUP = "harness.entries"  # entry points of other packages; the value is a module path
PATHS = "HARNESS_ENTRIES"  # paths the user named, kept in the environment so that worker processes see them too
YAML_LOADERS = {"task": "harness.task_files:load_task"}  # path -> class; other YAML entries load as their document


class Catalog:
    """All entries under some roots: package or module names with their folders or files."""

    def __init__(self, roots: Mapping[str, Path], *, bases: Mapping[str, Path] | None = None, cache: Path | None = None) -> None:
        self.problems: list[InputError] = []
        sources = Sources({**(bases or {}), **roots}, cache)
        self._found: dict[str, dict[str, list[Found]]] = {kind: {} for kind in KINDS}
        for name, root in roots.items():
            modules, files = _inside(name, root)
            found = list(python_entries(sources, modules, self.problems))
            found += [entry for file in files if (entry := yaml_entry(sources, file, self.problems)) is not None]
            for entry in found:
                places = self._found[entry.kind].setdefault(entry.name, [])
                if entry.place not in [other.place for other in places]:  # one folder may be reached by two roots
                    places.append(entry)
        sources.cache.save()

    def entries(self, kind: str) -> list[Found]:
        if kind not in self._found:
            raise unknown_name("kind", kind, KINDS)
        return [_only(self._found[kind][name]) for name in sorted(self._found[kind])]

    def find(self, kind: str, name: str) -> Found:
        if kind not in self._found:
            raise unknown_name("kind", kind, KINDS)
        if name not in self._found[kind]:
            raise self._unknown(kind, name, list(self._found[kind]), f"harness list {plural(kind)}")
        return _only(self._found[kind][name])

    def find_any(self, name: str) -> list[Found]:
        found = [_only(self._found[kind][name]) for kind in KINDS if name in self._found[kind]]
        if not found:
            raise self._unknown("name", name, [known for names in self._found.values() for known in names], "harness list")
        return found

    def _unknown(self, kind: str, name: str, known: list[str], listing: str) -> InputError:
        error = unknown_name(kind, name, known, listing=listing)
        if self.problems:  # the wanted entry may stand in a file that cannot be read
            error.expected = f"{error.expected}; {len(self.problems)} more cannot be read, first: {self.problems[0].one_line()}"
            return InputError(error.message, expected=error.expected)
        return error


def plural(kind: str) -> str:
    """The word that `harness list` uses for a kind."""
    return "corpora" if kind == "corpus" else f"{kind}s"


def _only(found: list[Found]) -> Found:
    if len(found) > 1:
        first, second = found[:2]
        raise InputError(
            f"{first.kind} {first.name!r} is registered twice: {first.place} and {second.place}", expected="rename one of them"
        )
    return found[0]


def _inside(name: str, root: Path) -> tuple[list[str], list[Path]]:
    """Names of the modules under a root, and its YAML files, sorted; tests and hidden folders are left out."""
    if root.is_file():
        return ([name], []) if root.suffix == ".py" else ([], [root])
    modules, files = [], []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(inner for inner in folders if not inner.startswith((".", "__")) and inner != "tests")
        parts = Path(folder).relative_to(root).parts
        for file in sorted(names):
            stem, suffix = os.path.splitext(file)
            if suffix == ".py" and stem.isidentifier() and not stem.startswith("test_") and stem != "conftest":
                modules.append(".".join([name, *parts] if stem == "__init__" else [name, *parts, stem]))
            elif suffix in (".yaml", ".yml") and not file.startswith("."):
                files.append(Path(folder, file))
    return modules, files


def use(path: str | Path) -> None:
    """Also look for entries in this folder or file, which the user named; workers started later do so too."""
    place = Path(path)
    if not place.exists():
        raise InputError("no such file or folder", file=path, key="--entries")
    named = [part for part in os.environ.get(PATHS, "").split(os.pathsep) if part]
    if str(place.resolve()) not in named:
        os.environ[PATHS] = os.pathsep.join([*named, str(place.resolve())])
    refresh()


def refresh() -> None:
    """Forget what was read, for files that changed within this process."""
    _current.cache_clear()


@functools.cache
def _current() -> Catalog:
    roots = {name: folder for name in PACKAGES if (folder := _package_folder(name)) is not None}
    missing = []
    for point in importlib.metadata.entry_points(group=GROUP):
        place = _module_place(point.value)
        if place is None:
            missing.append(InputError(f"entry point {point.name} names {point.value}, which is not there", key=GROUP))
        else:
            roots[point.value] = place
    for path in _named():
        roots[_package_name(path)] = path
    catalog = Catalog(roots, bases={"harness": Path(__file__).parent.parent}, cache=_cache_file())
    catalog.problems += missing
    return catalog


def _cache_file() -> Path:
    return cache_folder() / "catalog.json"


def _named() -> list[Path]:
    return [Path(part) for part in os.environ.get(PATHS, "").split(os.pathsep) if part and os.path.exists(part)]


def _package_name(path: Path) -> str:
    """Module name under which a path named by the user is imported; a file is a module of a package that is its folder."""
    folder = path if path.is_dir() else path.parent
    package = f"harness_entries_{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"
    return package if path.is_dir() else f"{package}.{path.stem}"


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec is not None and spec.submodule_search_locations else None


def _module_place(name: str) -> Path | None:
    """Folder or file of a module, which is not imported; nor is its package, other than our own."""
    parts = name.split(".")
    start = 2 if parts[0] == "harness" else 1  # our packages are mapped to folders elsewhere one by one
    rest = parts[start:]
    spec = importlib.util.find_spec(".".join(parts[:start]))
    if spec is None:
        return None
    if not spec.submodule_search_locations:
        return Path(spec.origin) if spec.origin and not rest else None
    place = Path(spec.submodule_search_locations[0], *rest)
    return next((path for path in (place, place.with_name(place.name + ".py")) if path.exists()), None)


def entries(kind: str) -> list[Found]:
    """All entries of a kind, by name."""
    return _current().entries(kind)


def find(kind: str, name: str) -> Found:
    """The entry of that kind and name; an InputError with the nearest names where there is none."""
    return _current().find(kind, name)


def find_any(name: str) -> list[Found]:
    """The entries of that name, of every kind."""
    return _current().find_any(name)


def problems() -> list[InputError]:
    """What could not be read: files with errors and declarations that are not literal."""
    return _current().problems


def load(kind: str, name: str) -> Any:
    """The class or function of an entry, imported now; the task class or the document of a YAML entry."""
    known = registered(kind, name)
    if known is not None:  # also one that a notebook or a test has just defined
        return known
    found = find(kind, name)
    if found.module is None or found.qualname is None:
        loader = YAML_LOADERS.get(kind)
        return _lazy(loader)(found.file) if loader else safe_yaml.load(found.file)
    try:
        for path in _named():
            _make_package(path)
        module = importlib.import_module(found.module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{kind} {name!r} needs the package {error.name!r}",
            file=found.file,
            expected="install it (`harness doctor` names the extras that are missing)",
        ) from error
    return getattr(module, found.qualname)


def _lazy(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def _make_package(path: Path) -> None:
    """Make a folder that the user named importable under its own package name, without touching sys.path."""
    folder = path if path.is_dir() else path.parent
    name = _package_name(folder)
    if name in sys.modules:
        return
    start = folder / "__init__.py"
    if start.exists():
        spec = importlib.util.spec_from_file_location(name, start, submodule_search_locations=[str(folder)])
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    else:
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module


def summary(reference: str) -> str:
    """First line of the docstring of "module:function", without importing it; empty where it cannot be read."""
    module, _, name = reference.partition(":")
    place = _module_place(module)
    source = Sources({module: place}, _cache_file()).module(module) if place is not None else None
    doc = source.classes[name].doc if source is not None and name in source.classes else None
    return (doc or "").partition("\n")[0]


def iterate() -> Iterator[Found]:
    """Every entry of every kind."""
    for kind in KINDS:
        yield from entries(kind)
