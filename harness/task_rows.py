"""From raw rows to a task's rows: fields, target, id and cluster by column or Jinja; splits; every fault named by its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import numpy as np

from harness.data_sources import RawRows, clean, hub_folder, hub_splits, local_path, read_file, read_hub
from harness.errors import InputError, unknown_name
from harness.task import Row
from harness.task_spec import TaskSpec
from harness.templates import render


def is_jinja(text: str) -> bool:
    return "{{" in text or "{%" in text


def columns_of(text: str) -> set[str]:
    """The columns that a column name (dotted path kept whole) or a Jinja text reads."""
    if not is_jinja(text):
        return {text}
    try:
        return set(jinja2.meta.find_undeclared_variables(jinja2.Environment(autoescape=False).parse(text)))  # parsed only, never rendered
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"{text!r} does not parse: {error.message}") from None


def cell(text: str, raw: Mapping[str, Any], key: str) -> Any:
    """The value of a column, of a dotted path into one, or of a Jinja text over the whole raw row."""
    if is_jinja(text):
        try:
            return render(text, raw)
        except InputError as error:
            raise InputError(error.message, key=key, expected=error.expected) from None
    if text in raw:
        return raw[text]
    value: Any = raw
    for part in text.split("."):
        if not isinstance(value, Mapping) or part not in value:
            unknown = unknown_name("column", text, map(str, raw))
            raise InputError(unknown.message, key=key, expected=f"{unknown.expected}; columns are {', '.join(map(str, raw))}")
        value = value[part]
    return value


def leak(spec: TaskSpec) -> str | None:
    """A line saying that the inputs hold everything the target is made of, or None."""
    shown = {column for text in spec.fields.values() for part in ([text] if isinstance(text, str) else text) for column in columns_of(part)}
    gold = columns_of(spec.target)
    covered = {column for column in gold if column in shown or column.split(".")[0] in shown}
    return (
        f"the fields show {', '.join(sorted(gold))}, which the target is made of: every template leaks the label"
        if gold and covered == gold
        else None
    )


class RowMaker:
    """Turns raw rows of a split into `Row`s by a `TaskSpec`."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        names = list(spec.labels or ())
        self.labels = tuple(names)
        self.index: dict[str, int] = {name: i for i, name in enumerate(names)}
        if isinstance(spec.labels, dict):
            pairs = [
                (raw, i) for i, values in enumerate(spec.labels.values()) for raw in (values if isinstance(values, list) else [values])
            ]
            self.index = {str(raw): i for raw, i in pairs}
            if len(self.index) < len(pairs):
                raise InputError("two labels have the same raw value", key="labels")

    def rows(self, raw: RawRows, split: str) -> list[Row]:
        """The split's rows; ids are `SPLIT-NUMBER`, or `SPLIT-` and the id column."""
        made = [self.row(item, split, number) for number, item in enumerate(raw) if self.wanted(item)]
        if not made:
            raise InputError(
                f"split {split!r} is empty", key=self.spec.task, expected="`where` leaves nothing" if self.spec.where else None
            )
        seen: set[str] = set()
        for row in made:
            if row.id in seen:
                raise InputError(
                    f"id {row.id!r} stands twice", key=self.spec.task, expected=f"column {self.spec.id!r} must tell rows apart"
                )
            seen.add(row.id)
        return made

    def wanted(self, raw: Mapping[str, Any]) -> bool:
        return self.spec.where is None or str(cell(self.spec.where, raw, "where")).strip() == "True"

    def row(self, raw: Mapping[str, Any], split: str, number: int) -> Row:
        identity = f"{split}-{number if self.spec.id is None else cell(self.spec.id, raw, 'id')}"
        try:
            inputs = {name: self.field(name, text, raw) for name, text in self.spec.fields.items()}
            cluster = None if self.spec.cluster is None else str(cell(self.spec.cluster, raw, "cluster"))
            return Row(identity, inputs, self.target(raw, inputs), cluster)
        except InputError as error:
            raise InputError(f"row {identity}: {error.message}", key=error.key, expected=error.expected) from None

    def field(self, name: str, text: str | list[str], raw: Mapping[str, Any]) -> Any:
        key = f"fields.{name}"
        if isinstance(text, list):
            return [_plain(cell(part, raw, key)) for part in text]
        value = cell(text, raw, key)
        if name == "choices":
            parts = value.split("|||") if isinstance(value, str) else value
            if not isinstance(parts, (list, tuple)) or len(parts) < 2:
                raise InputError(f"choices are {parts!r}", key=key, expected="two or more")
            return [str(_plain(part)).strip() for part in parts]
        return _plain(value)

    def target(self, raw: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        value = cell(self.spec.target, raw, "target")
        if self.spec.kind == "classification":
            return self.label(value)
        if self.spec.kind == "choice":
            return self.choice(value, inputs["choices"])
        if self.spec.kind == "regression":
            return _number(value)
        texts = [str(clean(part)).strip() for part in (value if isinstance(value, (list, tuple)) else [value])]
        if not texts or not any(texts):
            raise InputError("the target is empty", key="target")
        return texts if isinstance(value, (list, tuple)) else texts[0]

    def label(self, value: Any) -> int:
        known = self.index.get(str(value).strip())
        if known is not None:
            return known
        position = _whole(value)
        if isinstance(self.spec.labels, list) and position is not None and 0 <= position < len(self.labels):
            return position
        values = ", ".join(list(self.index)[:12])
        raise InputError(f"label {value!r} is not among the labels", key="target", expected=f"known: {values}")

    def choice(self, value: Any, choices: Sequence[str]) -> int:
        position = _whole(value)
        if position is None and str(value).strip() in choices:
            position = list(choices).index(str(value).strip())
        if position is None or not 0 <= position < len(choices):
            raise InputError(
                f"{value!r} names none of the {len(choices)} choices", key="target", expected="an index from 0, or a choice's text"
            )
        return position


def _plain(value: Any) -> Any:
    """A cell as JSON-able data without control characters; nothing is an empty text."""
    if value is None:
        return ""
    if isinstance(value, (str, Mapping, list, tuple)):
        return clean(value)
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):
        raise InputError("holds bytes", expected="text or numbers")
    return str(value)


def _whole(value: Any) -> int | None:
    text = str(value).strip()
    return None if isinstance(value, bool) or not text.isdecimal() else int(text)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"{value!r} is no number", key="target")
    return number


def raw_split(spec: TaskSpec, split: str, base: Path) -> RawRows:
    """One split's raw rows from wherever the task says."""
    source = spec.source
    if source.hub is not None:
        return read_hub(source.hub, source.config, source.revision, split, base)
    files = source.files or {}
    if split not in files:
        raise unknown_name("split", split, files).located(key=f"{spec.task}: splits")
    return read_file(local_path(files[split], source.root, base), source.columns)


def source_files(spec: TaskSpec, base: Path) -> list[Path]:
    """The local files that the raw rows come from: the data itself, or what `datasets` keeps of a hub data set."""
    source = spec.source
    if source.hub is None:
        files = [local_path(path, source.root, base) for path in (source.files or {}).values()]
        for file in files:
            if not file.is_file():
                read_file(file)  # raises what is missing
        return sorted(files)
    folder = hub_folder(source.hub, base)
    if folder is not None:
        return sorted(file for file in folder.rglob("*") if file.is_file())
    loaded = hub_splits(source.hub, source.config, source.revision, base)
    return sorted(Path(cached["filename"]) for split in loaded.values() for cached in split.cache_files)


def splits(spec: TaskSpec, base: Path) -> dict[str, list[Row]]:
    """`pool`, `test` and, where one is published, `dev`. What is carved or capped depends on the version alone."""
    maker = RowMaker(spec)
    pool = [row for split in spec.splits.pool for row in maker.rows(raw_split(spec, split, base), split)]
    if spec.splits.carve_test is not None:
        test, pool = carve(pool, spec.splits.carve_test, spec)
    else:
        test = [row for split in spec.splits.test for row in maker.rows(raw_split(spec, split, base), split)]
    if spec.test_rows is not None and spec.test_rows < len(test):
        order = np.random.default_rng([spec.version, 7]).permutation(len(test))[: spec.test_rows]
        test = [test[i] for i in sorted(order)]
    found = {"pool": pool, "test": test}
    if spec.splits.dev is not None:
        found["dev"] = maker.rows(raw_split(spec, spec.splits.dev, base), spec.splits.dev)
    return found


def carve(rows: list[Row], number: int, spec: TaskSpec) -> tuple[list[Row], list[Row]]:
    """(test, rest): at least `number` rows, whole clusters, equal inputs together, drawn by the version alone."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cluster if row.cluster is not None else row.content, []).append(row)
    order = list(groups)
    taken: set[str] = set()
    size = 0
    for i in np.random.default_rng([spec.version, 11]).permutation(len(order)):
        if size >= number:
            break
        taken.add(order[i])
        size += len(groups[order[i]])
    if len(taken) == len(order):
        raise InputError(
            f"carve_test takes {number} of {len(rows)} rows: nothing is left to learn from", key=spec.task, expected="carve fewer"
        )
    test = [row for name in order if name in taken for row in groups[name]]
    return test, [row for name in order if name not in taken for row in groups[name]]
