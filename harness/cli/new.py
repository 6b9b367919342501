"""`harness new`: a working skeleton of a method or a task, with its test."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from harness import catalog
from harness.cli import skeletons
from harness.errors import InputError
from harness.registry import SLUG

app = typer.Typer(help="A working skeleton of a method or task, with its test; nothing is overwritten.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name: a-z, 0-9 and single '-' or '_' between them, a letter first.")]
Into = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder; default: the harness's own where this is its checkout, else here.")]


@app.command()
def method(name: Name, into: Into = None) -> None:
    """A method of one file: a network on frozen features, to be replaced by your idea."""
    stem, folder, own = _checked("method", name, into, "methods")
    _write(
        {
            folder / f"{stem}.py": _filled(skeletons.METHOD, name, stem, f"{stem}.py", own),
            _test_file(folder, stem, own, "methods"): _filled(skeletons.METHOD_TEST, name, stem, f"{stem}.py", own),
        }
    )
    entries = "" if own else f" --entries {folder}"
    print(f"next: pytest {_test_file(folder, stem, own, 'methods')}")
    print(f"      harness show {name}{entries}")
    print(f"      harness run quickstart --set 'methods=[majority, {name}]'{entries}")


@app.command()
def task(
    name: Name, into: Into = None, python: Annotated[bool, typer.Option("--python", help="A generated task, as a class.")] = False
) -> None:
    """A task as YAML with a few rows of JSONL, or (with --python) one whose rows are generated."""
    stem, folder, own = _checked("task", name, into, "tasks")
    main = f"{stem}.py" if python else f"{stem}.yaml"
    files = {
        folder / main: _filled(skeletons.TASK_PYTHON if python else skeletons.TASK_YAML, name, stem, stem, own),
        _test_file(folder, stem, own, "tasks"): _filled(skeletons.TASK_TEST, name, stem, main, own),
    }
    if not python:
        files[folder / f"{stem}.jsonl"] = "".join(f"{json.dumps(row)}\n" for row in skeletons.example_rows())
    _write(files)
    entries = "" if own else f" --entries {folder}"
    print(f"next: pytest {_test_file(folder, stem, own, 'tasks')}")
    print(f"      harness show {name}{entries}")
    print(f"      harness run quickstart --set 'tasks=[{name}]'{entries}")


def _checked(kind: str, name: str, into: Path | None, package: str) -> tuple[str, Path, bool]:
    """(file stem, folder, whether that is the harness's own folder); InputError where the name will not do."""
    stem = re.sub(r"[^a-z0-9]", "_", name)
    if not SLUG.fullmatch(name) or not stem.isidentifier():
        raise InputError(f"{kind} name {name!r} will not do", expected="use a-z, 0-9 and single '-' or '_' between them, a letter first")
    if any(entry.name == name for entry in catalog.entries(kind)):
        raise InputError(f"there is a {kind} {name!r} already", expected=f"see `harness show {name}`")
    own = Path(__file__).parents[2] / package
    is_checkout = (own / "__init__.py").is_file() and (own.parent / "pyproject.toml").is_file()
    inside = is_checkout and Path.cwd().is_relative_to(own.parent)
    folder = into if into is not None else (own if inside else Path("."))
    if folder.exists() and not folder.is_dir():
        raise InputError("is no folder", file=folder, key="--into")
    return stem, folder, is_checkout and folder.resolve() == own.resolve()


def _test_file(folder: Path, stem: str, own: bool, package: str) -> Path:
    """Beside the code; in the harness's own checkout under its tests."""
    return (folder.parent / "tests" / package if own else folder) / f"test_{stem}.py"


def _filled(text: str, name: str, stem: str, file: str, own: bool) -> str:
    title = "".join(part.title() for part in stem.split("_"))
    if "LOCATE" in text and not own:
        text = text.replace("LOCATE", skeletons.LOCATE, 1)
        text = text.replace("from typing import Any, ClassVar\n", "from pathlib import Path\nfrom typing import Any, ClassVar\n", 1)
        if "from pathlib" not in text:
            text = text.replace("import numpy", "from pathlib import Path\n\nimport numpy", 1)
    return text.replace("LOCATE", "").replace("CLASS", title).replace("NAME", name).replace("FILE", file)


def _write(files: dict[Path, str]) -> None:
    """Write all files, or none where one is there already."""
    for file in files:
        if file.exists():
            raise InputError("is there already", file=file, expected="nothing was written; choose another name or --into")
    try:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as out:
                out.write(text)
            print(f"wrote {file}")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=error.filename, key="--into") from None
