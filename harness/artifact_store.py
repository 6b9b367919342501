"""Artifacts on disk, beside trials: STORE/artifacts/<2>/<artifact_id>/<run_key>/, written whole or not at all, checked by digests.

artifact.json result.json curve.parquet log.txt checksums.json, and the product: model/ step-N/ of a recipe, product.* of a preparation
.making-<run_key>/     what a recipe has left of an unfinished run, to go on from
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.artifact_inputs import FACTS, MODEL, artifact_folder
from harness.artifacts import Artifact
from harness.identity import canonical
from harness.outcome import FINAL, Outcome
from harness.results import CURVE_COLUMNS
from harness.store import FORMAT, Store, checksums, damage

HEADS = ("artifact.json", "result.json")


@dataclass(frozen=True)
class StoredArtifact:
    """One artifact on disk, finished or failed."""

    folder: Path
    artifact: Artifact
    run_key: str
    depends_on: Mapping[str, Any]
    started: str
    result: Mapping[str, Any]

    def curve(self) -> pd.DataFrame:
        file = self.folder / "curve.parquet"
        return pd.read_parquet(file) if file.exists() else pd.DataFrame(columns=list(CURVE_COLUMNS))


def folder_of(store: Store, artifact: Artifact, run_key: str) -> Path:
    return artifact_folder(store.root, artifact.artifact_id, run_key)


def making(folder: Path) -> Path:
    """Where an unfinished run of the artifact keeps what it needs to go on."""
    return folder.parent / f".making-{folder.name}"


def read(folder: Path) -> StoredArtifact | None:
    try:
        head = json.loads((folder / "artifact.json").read_text(encoding="utf-8"))
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return StoredArtifact(folder, Artifact.from_value(head["artifact"]), folder.name, head["depends_on"], head["started"], result)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def status(folder: Path, steps: Collection[int] = ()) -> str | None:
    """The status stored there; None where nothing final stands, or where a checkpoint of `steps` is missing."""
    try:
        found = str(json.loads((folder / "result.json").read_text(encoding="utf-8"))["status"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if found not in FINAL or (found == "ok" and not all((folder / f"step-{step}").is_dir() for step in steps)):
        return None
    return found


def verified(store: Store, folder: Path, steps: Collection[int] = ()) -> str | None:
    """As `status`, after comparing every file with its checksum; a damaged artifact is set aside."""
    if not (folder / "result.json").exists():
        return None
    if damage(folder, HEADS) is not None:
        store.set_aside(folder)
        return None
    return status(folder, steps)


def checkpoints(folder: Path) -> set[int]:
    """Steps of the checkpoints that stand there."""
    return {int(place.name[5:]) for place in folder.glob("step-*") if place.name[5:].isdigit()}


def write(
    store: Store, artifact: Artifact, run_key: str, depends_on: Mapping[str, Any], started: str, outcome: Outcome, product: Path | None
) -> Path:
    """Store how an artifact ended, with the product that stands in the folder `product`. A final one is never replaced by a failure."""
    target = folder_of(store, artifact, run_key)
    if outcome.status not in FINAL and status(target) is not None:
        return target
    with store.placing(target) as work:
        for place in _parts(product) if product is not None else ():
            os.replace(place, work / place.name)
        head = {"format": FORMAT, "artifact": artifact.value(), "depends_on": dict(depends_on), "started": started}
        (work / "artifact.json").write_text(canonical(head) + "\n", encoding="utf-8")
        text = json.dumps(outcome.result(), sort_keys=True, ensure_ascii=False, indent=1)
        (work / "result.json").write_text(text + "\n", encoding="utf-8")
        if outcome.curve is not None and len(outcome.curve):
            outcome.curve.to_parquet(work / "curve.parquet", index=False, compression="zstd")
        (work / "log.txt").write_text(outcome.log, encoding="utf-8")
        (work / "checksums.json").write_text(canonical(checksums(work)) + "\n", encoding="utf-8")
    return target


def _parts(product: Path) -> list[Path]:
    return [place for place in product.iterdir() if place.name == MODEL or place.name.startswith("step-") or place.stem == Path(FACTS).stem]


def folders(store: Store) -> Iterator[Path]:
    """Every artifact's folder, damaged ones too, in a fixed order; unfinished ones are none."""
    yield from sorted(place for place in store.root.glob("artifacts/??/*/*") if not place.name.startswith(".") and place.is_dir())


def unfinished(store: Store) -> Iterator[Path]:
    yield from sorted(place for place in store.root.glob("artifacts/??/*/.*") if place.is_dir())


def why_damaged(folder: Path) -> str | None:
    reason = damage(folder, HEADS)
    return "artifact.json or result.json cannot be read" if reason is None and read(folder) is None else reason


def merge(target: Store, source: Store) -> int:
    """Copy whole artifacts that `target` has no final answer for; how many were copied."""
    copied = 0
    for folder in folders(source):
        stored = read(folder)
        place = target.root / folder.relative_to(source.root)
        if stored is None or damage(folder, HEADS) is not None or status(place, checkpoints(folder)) is not None:
            continue
        if status(folder) is None and (status(place) is not None or place.exists()):
            continue
        with target.placing(place) as work:
            shutil.copytree(folder, work, dirs_exist_ok=True)
        copied += 1
    return copied
