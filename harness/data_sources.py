"""Where a task's raw rows come from: local JSONL, JSON, CSV, TSV or Parquet files, or a data set of the Hugging Face hub.

A hub data set is read by `datasets.load_dataset` without remote code. Offline, its id may be a folder in hub format; and
where the environment variable HARNESS_HUB_DATA names a folder that holds one under its id, that one is read.
"""

from __future__ import annotations

import csv
import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError, unknown_name

RawRows = Sequence[Mapping[str, Any]]
HUB_DATA = "HARNESS_HUB_DATA"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_CONTROL: dict[int, str | None] = {code: None for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in "\t\n"}
_CONTROL[0x85] = "\n"  # NEL


def clean(value: Any) -> Any:
    """Text without control characters (tab and newline stay; CR LF becomes a newline), at any depth; other values as they are."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROL)
    if isinstance(value, Mapping):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def expanded(text: str) -> str:
    """`text` with `${NAME}` and `${NAME:-default}` filled in from the environment."""

    def fill(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = os.environ.get(name) or default
        if not value:
            raise InputError(f"environment variable {name} is not set", expected=f"set {name} to the folder that holds this data")
        return value

    return _VARIABLE.sub(fill, text)


def local_path(text: str, root: str | None, base: Path) -> Path:
    """A path of a YAML file: variables filled in, relative to `root`, and that relative to the file's folder `base`."""
    path = Path(expanded(root or ".")) / Path(expanded(text)).expanduser()
    return Path(os.path.normpath(base / path.expanduser()))


def read_file(path: Path, columns: Sequence[str] | None = None) -> RawRows:
    """The rows of one local file, by its ending; kept in memory while the file stays as it is.

    columns : names for a CSV or TSV file without a header.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", file=path, expected="put the data there, or set the variable its path is made of"
        ) from None
    return _read(path, tuple(columns) if columns else None, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=16)
def _read(path: Path, columns: tuple[str, ...] | None, _modified: int, _size: int) -> RawRows:
    table = functools.partial(_csv, columns=columns)
    readers: dict[str, Callable[[Path], RawRows]] = {".jsonl": _jsonl, ".json": _json, ".csv": table, ".tsv": table, ".parquet": _parquet}
    if path.suffix not in readers:
        raise InputError(f"ending {path.suffix!r} is not known", file=path, expected=f"one of {', '.join(readers)}")
    rows = readers[path.suffix](path)
    if not rows:
        raise InputError("holds no row", file=path, expected="an empty split is an error")
    return rows


def _jsonl(path: Path) -> RawRows:
    rows = []
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(_decoded(file, path), start=1):
            if line.strip():
                rows.append(_object(line, path, number))
    return rows


def _decoded(lines: Iterable[str], path: Path) -> Iterable[str]:
    try:
        yield from lines
    except UnicodeDecodeError:
        raise InputError("is not UTF-8", file=path) from None


def _object(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"is no JSON: {error.msg}", file=path, line=number) from None
    if not isinstance(value, dict):
        raise InputError(f"holds a {type(value).__name__}", file=path, line=number, expected="one object a line")
    return value


def _json(path: Path) -> RawRows:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is no JSON: {error}", file=path) from None
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InputError("is no list of objects", file=path)
    return value


def _csv(path: Path, columns: tuple[str, ...] | None) -> RawRows:
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(_decoded(file, path), columns, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
        try:
            rows = list(reader)
        except csv.Error as error:
            raise InputError(f"is no CSV: {error}", file=path, line=reader.line_num) from None
    for number, row in enumerate(rows, start=1 if columns else 2):
        if None in row or None in row.values():
            raise InputError("has another number of cells than the header", file=path, line=number)
    return rows


def _parquet(path: Path) -> RawRows:
    import pyarrow
    import pyarrow.parquet

    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"is no Parquet file: {str(error).splitlines()[0]}", file=path) from None
    return rows


def hub_folder(name: str, base: Path) -> Path | None:
    """The local folder that stands for a hub id: the id itself where it is a path, or a copy under HARNESS_HUB_DATA."""
    if "${" in name or name.startswith((".", "/", "~")):
        folder = local_path(name, None, base)
        if not folder.is_dir():
            raise InputError("no such folder", file=folder, expected="a folder in hub format (Parquet files, README.md)")
        return folder
    mirror = os.environ.get(HUB_DATA)
    return folder if mirror and (folder := Path(mirror) / name).is_dir() else None


def read_hub(name: str, config: str | None, revision: str | None, split: str, base: Path) -> RawRows:
    """One split of a hub data set or of a folder in hub format, as plain rows."""
    loaded = hub_splits(name, config, revision, base)
    if split not in loaded:
        raise unknown_name("split", split, [str(known) for known in loaded]).located(key=name)
    rows: list[dict[str, Any]] = loaded[split].to_list()
    if not rows:
        raise InputError(f"split {split!r} is empty", key=name)
    return rows


def hub_splits(name: str, config: str | None, revision: str | None, base: Path) -> Mapping[str, Any]:
    """All splits of a hub data set or of a folder in hub format, as `datasets` gives them."""
    folder = hub_folder(name, base)
    return _loaded(str(folder) if folder else name, config, None if folder else revision, folder is not None)


@functools.lru_cache(maxsize=8)
def _loaded(name: str, config: str | None, revision: str | None, local: bool) -> Mapping[str, Any]:
    import datasets

    try:
        loaded: Mapping[str, Any] = datasets.load_dataset(name, config, revision=revision)
    except Exception as error:  # the library raises a dozen kinds, of its own, of huggingface_hub and of the network layer
        raise _hub_error(error, name, config, local) from None
    return loaded


def _hub_error(error: Exception, name: str, config: str | None, local: bool) -> InputError:
    what = f"data set {name!r}" + (f" ({config})" if config else "")
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if local:
        return InputError(f"{what} cannot be read: {reason}", key="source")
    return InputError(
        f"{what} cannot be had from the Hugging Face hub: {type(error).__name__}: {reason}",
        key="source",
        expected=f"offline, download it elsewhere (`hf download --repo-type dataset {name}`) and put the folder at ${HUB_DATA}/{name}",
    )
