"""Digests: canonical JSON of values, content of rows, weights, tokenizers and source files."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LENGTH = 32  # hex digits kept of a SHA-256: 128 bits


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; the same value always gives the same text. NaN and infinities are refused."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and math.isfinite(value) and abs(value) < 2**53:
        return int(value)  # 1.0 and 1 ask the same question
    return value


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
    """Digest of the source files of `cls` and of every base of it within its own project (what a method's answer depends on)."""
    import inspect

    files = {inspect.getsourcefile(base) for base in cls.__mro__ if base is not object and base.__module__ != "builtins"}
    return _digest_files(tuple(sorted(file for file in files if file and Path(file).exists())))


@functools.cache
def _digest_files(files: tuple[str, ...]) -> str:
    return digest(sorted(digest_file(file) for file in files))
