"""The fields of a task's YAML file, validated: an error names file, line, key, value and the nearest valid name."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from harness.errors import InputError, unknown_name
from harness.registry import SLUG
from harness.safe_yaml import Marks


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _listed(value: Any) -> Any:
    return [] if value is None else value if isinstance(value, list) else [value]


def _template(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_listed)]


class SourceSpec(_Spec):
    """Local `files` by split (relative to `root`, and that to the YAML file), or a `hub` id or folder."""

    hub: str | None = None
    config: str | None = None
    revision: str | None = None
    files: dict[str, str] | None = None
    root: str | None = None
    columns: list[str] | None = None  # names for CSV and TSV files that have no header

    @model_validator(mode="after")
    def one_kind(self) -> SourceSpec:
        if (self.hub is None) == (self.files is None):
            raise ValueError("name either hub: ID or files: {SPLIT: PATH}")
        if self.columns and not all(path.endswith((".csv", ".tsv")) for path in (self.files or {"": ""}).values()):
            raise ValueError("columns belong to CSV and TSV files without a header")
        if self.files is not None and (self.config or self.revision):
            raise ValueError("config and revision belong to hub")
        return self


class SplitSpec(_Spec):
    """Which splits are the pool (train and dev are drawn from it), a published dev split, and test."""

    pool: Names = ["train"]
    dev: str | None = None
    test: Names = ["test"]
    carve_test: int | None = Field(default=None, ge=1)  # rows (whole clusters) taken out of the pool where nothing is published

    @model_validator(mode="after")
    def disjoint(self) -> SplitSpec:
        test = [] if self.carve_test else self.test
        if not test and not self.carve_test:
            raise ValueError("name a test split, or carve_test: N where there is none")
        for split in test:
            if split in self.pool or split == self.dev:
                raise ValueError(f"split {split!r} cannot be both test and pool or dev")
        if self.dev in self.pool:
            raise ValueError(f"split {self.dev!r} cannot be both dev and pool")
        return self


class TemplateSpec(_Spec):
    """`text` with {{ answer }}, or `promptsource` text with `|||`; the words that stand for the labels."""

    text: str | None = None
    promptsource: str | None = None
    answers: dict[str, str] | list[str] | str | None = None
    target: str | None = None
    held_out: bool = False
    reference: str | None = None

    @model_validator(mode="after")
    def one_text(self) -> TemplateSpec:
        if (self.text is None) == (self.promptsource is None):
            raise ValueError("give either text or promptsource")
        return self


class TaskSpec(_Spec):
    """One task. Columns are named as `column`, `column.inner`, or computed by Jinja over the raw row."""

    task: Annotated[str, Field(pattern=f"^(?:{SLUG.pattern})$")]
    summary: str = ""
    paper: str | None = None
    licence: str | None = None
    tags: Names = []
    version: int = Field(default=1, ge=1)
    kind: Literal["classification", "choice", "generation", "regression"] = "classification"
    source: SourceSpec
    splits: SplitSpec = SplitSpec()
    where: str | None = None  # Jinja; rows for which it is not `True` are left out
    id: str | None = None
    fields: dict[str, str | list[str]] = Field(min_length=1)
    target: str
    labels: list[str] | dict[str, Any] | None = None  # in order; or label -> its raw value (or values)
    positive: str | None = None
    cluster: str | None = None
    templates: dict[str, Annotated[TemplateSpec, BeforeValidator(_template)]] = {}
    answer_score: Literal["joint", "mean", "first"] = "joint"
    prefix: str = ""  # stands once before all demonstrations
    separator: str = "\n\n"  # between demonstrations
    metrics: Names = ["accuracy"]
    floor: float | None = None
    ceiling: float = 1.0
    stops: Names = ["\n"]
    max_new_tokens: int = Field(default=32, ge=1)
    answer_filter: str | None = None
    test_rows: int | None = Field(default=None, ge=1)  # test is capped to so many rows, the same ones for ever
    references: Names = []  # where the templates, label words and numbers were published

    @model_validator(mode="after")
    def labels_fit(self) -> TaskSpec:
        if self.kind == "classification" and not (self.labels and len(self.labels) > 1):
            raise ValueError("a classification task needs labels, two or more, in order")
        if self.kind == "choice" and "choices" not in self.fields:
            raise ValueError("a choice task needs a field `choices`")
        if "answer" in self.fields:
            raise ValueError("a field cannot be called `answer`: in templates that is the answer's place")
        if self.positive is not None and self.positive not in (self.labels or ()):
            raise ValueError(f"positive {self.positive!r} is no label")
        return self


def validated(data: Any, marks: Marks) -> TaskSpec:
    """`data` as a TaskSpec, or an InputError about its first fault."""
    if not isinstance(data, Mapping):
        raise InputError("holds no mapping", file=marks.file, line=1, expected="start with `task: NAME`")
    try:
        return TaskSpec.model_validate(data)
    except ValidationError as error:
        raise readable(error, data, marks) from None


def readable(error: ValidationError, data: Mapping[str, Any], marks: Marks) -> InputError:
    """pydantic's first fault as one line with its place in the file."""
    fault = error.errors()[0]
    path = _path(fault["loc"], data)
    value = fault["input"]
    if fault["type"] == "extra_forbidden":
        unknown = unknown_name("key", str(path[-1]), _keys(path[:-1]))
        return marks.error(path, unknown.message, expected=unknown.expected)
    if fault["type"] == "missing":
        return marks.error(path[:-1], f"key {path[-1]!r} is missing")
    if fault["type"] == "literal_error":
        named = unknown_name(str(path[-1]), str(value), fault["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", "))
        return marks.error(path, named.message, expected=named.expected)
    if fault["type"] == "value_error":
        return marks.error(path, str(fault["ctx"]["error"]))
    shown = repr(value) if not isinstance(value, (dict, list)) else f"a {'mapping' if isinstance(value, dict) else 'list'}"
    return marks.error(path, f"{shown} does not fit", expected=fault["msg"].replace("Input", "it").replace("valid ", ""))


def _path(location: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    """pydantic's location without the names it adds for the members of a union (and with a missing last key kept)."""
    path: list[Any] = []
    place: Any = data
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if (isinstance(place, Mapping) and part in place) or (isinstance(place, list) and not isinstance(part, str) and part < len(place)):
            place = place[part]
        elif not (last and isinstance(place, Mapping)) or str(part).startswith(("list[", "dict[", "str")):
            continue
        path.append(part)
    return tuple(path)


def _keys(path: tuple[Any, ...]) -> list[str]:
    """The keys that may stand at `path`."""
    model: Any = TaskSpec
    for part in path:
        model = typing.get_type_hints(model).get(part, model) if isinstance(model, type) and issubclass(model, BaseModel) else model
        model = TemplateSpec if part == "templates" else model
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)
