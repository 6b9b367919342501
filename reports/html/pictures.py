"""Pictures that trials left (scenes, edits, graphs), chosen and packed into the page: few, small, and each with its words."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.outcome import Media
from harness.results import Results

from ..analysis.model import Analysis, Family

MOST = 12  # of a family
LARGEST = 40 * 1024  # bytes of one file
MOST_BYTES = 384 * 1024  # of all files of a page, a third more as text: the largest board leaves that much of 2 MB
CANDIDATES = 60  # trials looked at for each family


@dataclass(frozen=True)
class Picture:
    """`address` is a data URI; `where` says which trial left it."""

    address: str
    caption: str
    kind: str
    where: str


@dataclass(frozen=True)
class Gallery:
    """A family's pictures in the page, and how many were left out because they are larger than the page takes."""

    pictures: tuple[Picture, ...]
    too_large: int


def choose_pictures(results: Results, analysis: Analysis) -> dict[str, Gallery]:
    """family -> its pictures: kinds, arms and columns in turn, from the first seeds, in the order of the board."""
    if results.media_loader is None:
        return {}
    left = MOST_BYTES // max(len(analysis.families), 1)
    found = {}
    for family in analysis.families:
        gallery = _gallery(results, family, left)
        if gallery.pictures or gallery.too_large:
            found[family.name] = gallery
    return found


def _gallery(results: Results, family: Family, most_bytes: int) -> Gallery:
    pictures: list[Picture] = []
    used, too_large = 0, 0
    seen: set[str] = set()
    for item, where in _in_turn(list(_candidates(results, family))):
        digest = hashlib.sha256(item.data).hexdigest()
        if digest in seen:  # arms that do not change a scene leave the same picture of it
            continue
        if len(item.data) > LARGEST:
            too_large += 1
        elif len(pictures) < MOST and used + len(item.data) <= most_bytes:
            seen.add(digest)
            used += len(item.data)
            address = f"data:{item.media_type};base64,{base64.b64encode(item.data).decode()}"
            pictures.append(Picture(address, item.caption, item.kind, where))
    return Gallery(tuple(pictures), too_large)


def _candidates(results: Results, family: Family) -> Iterator[tuple[Media, str]]:
    """Pictures of the first trial of every arm, task by task, so that arms stand beside each other; arms in the order of the board."""
    trials: Any = results.trials
    rows = trials[(trials["family"].fillna("all").astype(str) == family.name) & (trials["status"] == "ok")]
    rows = rows.sort_values(["seed", "task"], kind="stable").drop_duplicates(["arm", "task"])
    place = {row.arm: i for i, row in enumerate(family.standings)}
    rows = rows.assign(place=rows["arm"].astype(str).map(place)).dropna(subset=["place"]).sort_values(["task", "place"], kind="stable")
    looked = 0
    for row in rows.to_dict("records"):
        media = results.media(str(row["trial_id"]))
        for item in media:
            yield item, f"{row['arm']} on {row['task']}, seed {row['seed']}"
        looked += bool(media)
        if looked == CANDIDATES:
            return


def _in_turn(candidates: list[tuple[Media, str]]) -> Iterator[tuple[Media, str]]:
    """One of each (kind, trial) after another, so that no kind and no arm takes all the room."""
    queues: dict[tuple[str, str], list[tuple[Media, str]]] = {}
    for item, where in candidates:
        queues.setdefault((item.kind, where), []).append((item, where))
    by_kind: dict[str, list[list[tuple[Media, str]]]] = {}
    for (kind, _), queue in queues.items():
        by_kind.setdefault(kind, []).append(queue)
    # within a kind: the first picture of every trial, then the second
    lines = [[queue[i] for i in range(max(map(len, group))) for queue in group if i < len(queue)] for group in by_kind.values()]
    for i in range(max(map(len, lines), default=0)):
        yield from (line[i] for line in lines if i < len(line))


def by_kind(gallery: Gallery) -> Mapping[str, list[Picture]]:
    found: dict[str, list[Picture]] = {}
    for picture in gallery.pictures:
        found.setdefault(picture.kind, []).append(picture)
    return found
