"""The results store: content-addressed trial folders, written whole or not at all, checked by digests.

    STORE/store.json                               format number
    STORE/trials/<2>/<trial_id>/<run_key>/         trial.json result.json records.parquet curve.parquet log.txt adapted/ media/ checksums.json
    STORE/artifacts/<2>/<artifact_id>/<run_key>/   what recipes and preparations made: see `artifact_store`
    STORE/suites/<name>.<digest>.json              what a suite planned: its trials, arms, blocks, unsupported cells
    STORE/imported/<file digest>/                  results from elsewhere; never a cache hit
    STORE/damaged/                                 folders whose bytes no longer match their checksums, set aside

Folders are the truth. A trial is written into a temporary folder and renamed into place, so a kill at any moment loses at most
the running trials.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.identity import canonical, digest, digest_file
from harness.outcome import FINAL, Media, Outcome
from harness.results import Results
from harness.trial import Trial

FORMAT = 1
VERDICTS = "claims.json"  # of the claims that were judged with this store


@dataclass(frozen=True)
class Stored:
    """One finished trial on disk."""

    folder: Path
    trial: Trial
    run_key: str
    depends_on: Mapping[str, Any]
    started: str
    result: Mapping[str, Any]

    def records(self) -> pd.DataFrame:
        return self._frame("records.parquet")

    def curve(self) -> pd.DataFrame:
        return self._frame("curve.parquet")

    def media(self) -> list[Media]:
        """The trial's pictures; one whose file is gone is left out (`harness store check` says so)."""
        found = []
        for item in self.result["facts"].get("media", ()):
            file = self.folder / "media" / Path(item["file"]).name
            if file.is_file():
                found.append(Media(file.name, file.read_bytes(), item["caption"], item["kind"]))
        return found

    def _frame(self, name: str) -> pd.DataFrame:
        try:
            return pd.read_parquet(self.folder / name) if (self.folder / name).exists() else pd.DataFrame()
        except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
            reason = " ".join(str(error).split())[:120]
            raise InputError(
                f"is damaged: {reason}", file=self.folder / name, expected="`harness store check --repair`, then run the suite again"
            ) from None


class Store:
    """A results store in a folder. `Store(path)` opens one and makes it where `create` is set."""

    def __init__(self, root: str | Path, *, create: bool = True) -> None:
        self.root = Path(root)
        marker = self.root / "store.json"
        if marker.exists():
            self._check_format(marker)
        elif create:
            self._create(marker)
        else:
            raise InputError("is no results store", file=self.root, expected="name a folder that `harness run --store` has written")

    @classmethod
    def check_place(cls, root: str | Path) -> None:
        """InputError where `Store(root)` could not be opened or made; nothing is written."""
        place = Path(root)
        if (place / "store.json").exists():
            cls(place, create=False)
            return
        try:
            if place.exists() and any(place.iterdir()):
                raise InputError("is a folder with other things in it", file=place, expected="name an empty or a new folder")
        except OSError as error:
            raise _unwritable(place, error) from None
        parent = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise InputError("cannot be made here", file=place, expected="name a folder you may write to")

    def _check_format(self, marker: Path) -> None:
        try:
            number = int(json.loads(marker.read_text(encoding="utf-8"))["format"])
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=marker) from None
        except (ValueError, KeyError, TypeError):
            raise InputError("is damaged", file=marker, expected=f'it should hold {{"format": {FORMAT}}}') from None
        if number > FORMAT:
            raise InputError(
                f"store format {number} is newer than this version reads ({FORMAT})", file=self.root, expected="update the harness"
            )

    def _create(self, marker: Path) -> None:
        self.check_place(self.root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_text(marker, canonical({"format": FORMAT}) + "\n")
        except OSError as error:
            raise _unwritable(self.root, error) from None

    def folder(self, trial_id: str, run_key: str) -> Path:
        for name in (trial_id, run_key):
            if not name.isalnum():
                raise InputError(f"{name!r} is no identity of a trial", file=self.root)
        return self.root / "trials" / trial_id[:2] / trial_id / run_key

    def has(self, trial_id: str, run_key: str) -> bool:
        """Whether a final answer stands there whole: cheap, by presence alone (renaming makes folders appear complete)."""
        file = self.folder(trial_id, run_key) / "result.json"
        try:
            return json.loads(file.read_text(encoding="utf-8"))["status"] in FINAL
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def get(self, trial_id: str, run_key: str, *, verify: bool = False) -> Stored | None:
        """The stored trial, or None; with `verify`, a folder whose bytes do not match its checksums is set aside and None returned."""
        folder = self.folder(trial_id, run_key)
        if not (folder / "result.json").exists():
            return None
        if verify and self.damage(folder) is not None:
            self.set_aside(folder)
            return None
        return self.read(folder)

    def read(self, folder: Path) -> Stored | None:
        try:
            head = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            return Stored(folder, Trial.from_value(head["trial"]), folder.name, head["depends_on"], head["started"], result)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def damage(self, folder: Path) -> str | None:
        """What is wrong with a trial's folder, or None."""
        return damage(folder, ("trial.json", "result.json"))

    def set_aside(self, folder: Path) -> None:
        target = self.root / "damaged" / f"{folder.parent.name}.{folder.name}.{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target)

    def write(
        self, trial: Trial, run_key: str, depends_on: Mapping[str, Any], started: str, outcome: Outcome, *, keep: str = "small"
    ) -> Path:
        """Store an outcome; a failed try that is there already is replaced, a final answer never by a failure. Returns the folder."""
        target = self.folder(trial.trial_id, run_key)
        if outcome.status not in FINAL and self.has(trial.trial_id, run_key):
            return target
        try:
            with self.placing(target) as work:
                self._fill(work, trial, depends_on, started, outcome, keep)
        except OSError as error:
            raise _unwritable(self.root, error) from None
        return target

    @contextmanager
    def placing(self, target: Path) -> Iterator[Path]:
        """A temporary folder that takes the place of `target` when the block ends, and is removed when it raises."""
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
        try:
            work.chmod(0o755)  # mkdtemp's own mode would hide results from others who share the store
            yield work
            for last in (False, False, True):
                shutil.rmtree(target, ignore_errors=True)
                try:
                    os.replace(work, target)
                    return
                except OSError as error:  # another process has put its answer there in between
                    if last or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise

    def _fill(self, work: Path, trial: Trial, depends_on: Mapping[str, Any], started: str, outcome: Outcome, keep: str) -> None:
        from harness.method import LARGEST_SMALL, save

        if outcome.predictor is not None:
            outcome.costs.stored_bytes = save(outcome.predictor, work / "adapted")
            if keep == "none" or (keep == "small" and outcome.costs.stored_bytes > LARGEST_SMALL):
                shutil.rmtree(work / "adapted")
        head = {"format": FORMAT, "trial": trial.value(), "depends_on": dict(depends_on), "started": started}
        write_text(work / "trial.json", canonical(head) + "\n")
        write_text(work / "result.json", json.dumps(outcome.result(), sort_keys=True, ensure_ascii=False, indent=1) + "\n")
        if outcome.records is not None:
            outcome.records.to_parquet(work / "records.parquet", index=False, compression="zstd")
        if outcome.curve is not None and len(outcome.curve):
            outcome.curve.to_parquet(work / "curve.parquet", index=False, compression="zstd")
        write_text(work / "log.txt", outcome.log)
        for item in outcome.media:
            (work / "media").mkdir(exist_ok=True)
            if (work / "media" / item.name).exists():
                raise InputError(f"two pictures of one trial are named {item.name}", expected="names that are unique within a trial")
            (work / "media" / item.name).write_bytes(item.data)
        write_text(work / "checksums.json", canonical(checksums(work)) + "\n")

    def folders(self) -> Iterator[Path]:
        """Every trial folder, damaged ones too, in a fixed order; half-written ones are none."""
        yield from sorted(place for place in self.root.glob("trials/??/*/*") if not place.name.startswith(".") and place.is_dir())

    def write_manifest(self, manifest: Mapping[str, Any]) -> Path:
        """Remember what a suite planned (written before its first trial runs)."""
        file = self.root / "suites" / f"{manifest['suite']}.{digest(manifest['cells'])[:12]}.json"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(manifest, sort_keys=True, ensure_ascii=False) + "\n")
        except OSError as error:
            raise _unwritable(self.root, error) from None
        return file

    def plans(self) -> list[dict[str, Any]]:
        """Every plan that was run into this store, the oldest first: what was planned before which results stood."""
        found = []
        for file in sorted((self.root / "suites").glob("*.json")) if (self.root / "suites").exists() else []:
            try:
                plan = json.loads(file.read_text(encoding="utf-8"))
                found.append((plan["planned"], plan["suite"], plan))
            except (ValueError, KeyError, TypeError):
                raise InputError("is damaged", file=file, expected="run the suite again: its finished trials are kept") from None
        return [plan for _, _, plan in sorted(found, key=lambda item: item[:2])]

    def manifests(self) -> list[dict[str, Any]]:
        """The newest plan of every suite that was run into this store."""
        newest = {plan["suite"]: plan for plan in self.plans()}
        return sorted(newest.values(), key=lambda plan: str(plan["planned"]))


def checksums(folder: Path) -> dict[str, str]:
    """Digest of every file in a folder by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): digest_file(path) for path in files}


def damage(folder: Path, heads: tuple[str, ...]) -> str | None:
    """What is wrong with a stored folder, or None; `heads` are files it must hold."""
    try:
        sums = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))
        names = {*heads, *sums}
    except (OSError, ValueError, TypeError):
        return "checksums.json is missing or unreadable"
    for name in sorted(names):
        if not (folder / name).is_file():
            return f"{name} is missing"
        if digest_file(folder / name) != sums.get(name):
            return f"{name} does not match its checksum"
    return None


def _unwritable(root: Path, error: OSError) -> InputError:
    hint = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "name a folder you may write to"
    return InputError(f"cannot be written: {error.strerror}", file=root, expected=hint)


def write_text(file: Path, text: str) -> None:
    """Whole or not at all: written beside and renamed."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)


def load_results(root: str | Path, suite: str | None = None) -> Results:
    """The results view of a store; see `harness.store_view.load_results`."""
    from harness.store_view import load_results as load

    return load(root, suite)
