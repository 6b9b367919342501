"""Digests: canonical JSON of values, content of rows, weights, tokenizers and source files."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import InputError

if TYPE_CHECKING:
    import torch

LENGTH = 32  # hex digits kept of a SHA-256: 128 bits


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; the same value always gives the same text. NaN and infinities are an InputError."""
    try:
        return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise InputError("NaN and infinities are no values of a configuration") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):  # NumPy, told without importing it: `harness list` must start at once
        return _plain(value.item()) if value.shape == () else _array(value)
    if isinstance(value, float) and value.is_integer() and math.isfinite(value) and abs(value) < 2**53:
        return int(value)  # 1.0 and 1 ask the same question
    return value


def _array(value: Any) -> dict[str, Any]:
    """What stands for an image or a graph among an example's inputs: no configuration holds one."""
    return {"dtype": str(value.dtype), "shape": list(value.shape), "bytes": digest_bytes(value.tobytes())}


def digest(value: Any) -> str:
    """Digest of a JSON-able value."""
    return digest_bytes(canonical(value).encode())


def digest_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:LENGTH]


def digest_rows(rows: Iterable[Any]) -> str:
    """Digest of rows in order: ids, inputs, targets and clusters all count."""
    whole = hashlib.sha256()
    for row in rows:
        whole.update(canonical([row.id, row.inputs, row.target, row.cluster]).encode())
        whole.update(b"\n")
    return whole.hexdigest()[:LENGTH]


def digest_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Digest of named tensors: names, dtypes, shapes and bytes; independent of device and of the mapping's order."""
    import torch

    whole = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        whole.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return whole.hexdigest()[:LENGTH]


def digest_file(path: str | Path) -> str:
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()[:LENGTH]


def digest_source(cls: type[Any]) -> str:
    """Digest of the source that a class's answers depend on: its module, those of its bases, and what these import from beside them.

    Of the engine only the modules of bases count: the rest of it is told apart by its numerics version.
    """
    import inspect

    files: set[Path] = set()
    for base in cls.__mro__:
        file = inspect.getsourcefile(base) if base.__module__ != "builtins" else None
        if file is not None and Path(file).exists():
            files |= _with_neighbours(Path(file), base.__module__.rpartition(".")[0])
    return _digest_files(tuple(sorted(map(str, files))))


@functools.cache
def _with_neighbours(file: Path, package: str) -> frozenset[Path]:
    """`file` and the files of `package` that it imports, and so on."""
    found, waiting = set(), [file]
    while waiting:
        found.add(here := waiting.pop())
        engine = package.partition(".")[0] == "harness" and package not in ("harness.methods", "harness.tasks")
        if package and not engine:
            waiting += [other for other in _imported(here, package) if other not in found]
    return frozenset(found)


def _imported(file: Path, package: str) -> Iterator[Path]:
    """Files beside `file` that it imports, wherever in it the import stands."""
    import ast

    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package if node.level == 1 else None if node.level else ""
            names = [".".join(filter(None, (start, node.module, alias.name))) for alias in node.names] if start is not None else []
        for name in names:
            stem = name.removeprefix(f"{package}.").partition(".")[0] if name.startswith(f"{package}.") else ""
            if stem and (beside := file.parent / f"{stem}.py").is_file():
                yield beside
            elif stem and (folder := file.parent / stem).is_dir():  # a method's parts in a folder of their own
                yield from folder.rglob("*.py")


@functools.cache
def digest_package(module: str) -> str:
    """Digest of every Python file in the package that a module is, or lives in."""
    import importlib
    import inspect

    folder = Path(inspect.getfile(importlib.import_module(module))).parent
    return digest([[str(file.relative_to(folder)), digest_file(file)] for file in sorted(folder.rglob("*.py"))])


@functools.cache
def _digest_files(files: tuple[str, ...]) -> str:
    return digest(sorted(digest_file(file) for file in files))
