"""A suite: a grid with a question, as YAML. Validated whole before anything runs; errors name file, line, key and value."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from harness import safe_yaml
from harness.backbones.describe import from_text
from harness.errors import InputError
from harness.settings import merged


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _backbone(value: Any) -> Any:
    """A backbone in one word is a registered name, a hub id (org/name) or a folder (./there)."""
    return from_text(value) if isinstance(value, str) else value


class MethodSpec(Strict):
    """A method with a configuration, a grid over settings, or `tune: N` tries from its declared search space."""

    name: str
    label: str | None = None
    config: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    tune: int | None = Field(default=None, ge=1, strict=True)
    tune_per: Literal["task", "seed"] = "task"

    def variants(self) -> list[tuple[str, dict[str, Any]]]:
        """(label, configuration) of every point of the grid."""
        if not self.grid:
            return [(self.label or self.name, dict(self.config))]
        points = [dict(zip(self.grid, values)) for values in itertools.product(*self.grid.values())]
        label = self.label or self.name
        return [(f"{label} {' '.join(f'{key}={value}' for key, value in point.items())}", merged(self.config, point)) for point in points]


class TaskSpec(Strict):
    name: str
    config: dict[str, Any] = {}
    templates: list[str] | None = None


Stream = Literal["data", "demos", "init", "order", "noise"]
Unit = Literal["steps", "epochs", "examples", "forward_calls", "seconds"]  # those of harness.training.Budget, which needs torch
Seed = Annotated[int, Field(ge=0, strict=True)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


def _different(numbers: list[int]) -> list[int]:
    if len(set(numbers)) < len(numbers):
        raise ValueError("a seed stands there twice: it would count as two runs")
    return numbers


class SeedSpec(Strict):
    """How many replicates (or which numbers), which streams vary with them, and which are held."""

    numbers: Annotated[list[Seed], Field(min_length=1), AfterValidator(_different)]
    vary: list[Stream] = list(get_args(Stream))
    hold: dict[Stream, int] = {}

    def streams(self, number: int) -> dict[str, int]:
        return {name: self.hold.get(name, number if name in self.vary else 0) for name in get_args(Stream)}


def _seeds(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"numbers": list(range(value))}
    if isinstance(value, list):
        return {"numbers": value}
    if isinstance(value, str) and ".." in value:
        low, _, high = value.partition("..")
        return {"numbers": list(range(int(low), int(high) + 1))} if low.isdigit() and high.isdigit() else value
    if isinstance(value, Mapping) and "count" in value:
        rest = {key: item for key, item in value.items() if key != "count"}
        return {"numbers": list(range(value["count"])), **rest} if isinstance(value["count"], int) else value
    return value


class Suite(Strict):
    """A grid of methods x tasks x backbones x templates x shots x seeds, and the question it answers."""

    suite: Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$")]
    question: str
    arms: list[Literal["method", "backbone", "template", "selection"]] = ["method"]
    backbones: Annotated[list[Annotated[dict[str, Any], BeforeValidator(_backbone)]], BeforeValidator(_as_list), Field(min_length=1)]
    methods: Annotated[list[Annotated[MethodSpec, BeforeValidator(_named)]], BeforeValidator(_as_list), Field(min_length=1)]
    tasks: Annotated[list[Annotated[TaskSpec, BeforeValidator(_named)]], BeforeValidator(_as_list), Field(min_length=1)]
    templates: Literal["first", "all"] | list[str] = "first"
    shots: Annotated[list[Any], BeforeValidator(_as_list), Field(min_length=1)] = [16]
    dev: Any = 0
    seeds: Annotated[SeedSpec, BeforeValidator(_seeds)] = SeedSpec(numbers=[0, 1, 2, 3, 4])
    tuning_seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_different)] = [1000]
    budget: dict[Unit, Amount] = {}
    select: Literal["best_dev", "last"] = "best_dev"
    test_rows: int | None = Field(default=None, ge=1, strict=True)
    precision: Literal["fp32", "bf16"] = "fp32"
    protocol: str | None = None
    baseline: str | None = None
    family: str | None = None
    _file: Path | None = PrivateAttr(None)
    _marks: safe_yaml.Marks | None = PrivateAttr(None)

    def error(self, path: safe_yaml.KeyPath, error: InputError) -> InputError:
        """`error` about the value at `path`, with the suite's file and line."""
        key = ".".join(part for part in (safe_yaml.key_text(path), error.key) if part)
        line = self._marks.line((*path, error.key)) if self._marks is not None else None
        return InputError(error.message, file=self._file, line=line, key=key, expected=error.expected)


def load_suite(name: str | Path, settings: Mapping[str, Any] | None = None) -> Suite:
    """A suite by registered name or by path, with `settings` (dotted keys, as from `--set k=v`) laid over it."""
    file = _file(name)
    data, marks = safe_yaml.load(file)
    if not isinstance(data, dict):
        raise InputError("holds no mapping", file=file, expected="a suite starts with `suite: NAME`")
    for key, value in (settings or {}).items():
        _lay(data, key, value)
    try:
        if data.get("protocol"):
            data = _under_protocol(data, file)
        suite = Suite.model_validate(data)
    except ValidationError as error:
        raise _readable(error, file, marks) from None
    suite._file, suite._marks = file, marks
    _check_names(suite)
    return suite


def _check_names(suite: Suite) -> None:
    """Names that the catalog does not know are refused here, where their line is known."""
    from harness import catalog

    wanted = [(("methods", i), "wrapper" if "over" in spec.config else "method", spec.name) for i, spec in enumerate(suite.methods)]
    wanted += [(("tasks", i), "task", spec.name) for i, spec in enumerate(suite.tasks)]
    wanted += [
        (("backbones", i), "backbone", spec["name"]) for i, spec in enumerate(suite.backbones) if "/" not in str(spec.get("name", "/"))
    ]
    for path, kind, name in wanted:
        try:
            catalog.find(kind, str(name))
        except InputError as error:
            raise suite.error(path, error) from None


def _file(name: str | Path) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.parent != Path("."):
        if not path.is_file():
            raise InputError("no such file", file=path, expected="name a suite (`harness list suites`) or a YAML file")
        return path
    from harness import catalog

    return Path(catalog.find("suite", str(name)).file)


def _lay(data: dict[str, Any], key: str, value: Any) -> None:
    """Set one dotted key; numbers index lists. `methods.0.config.rank` reaches into the first method."""
    *path, last = key.split(".")
    place: Any = data
    for position, part in enumerate(path):
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise InputError(f"{part!r} is no index of a list of {len(place)}", key=f"--set {key}")
            if isinstance(place[int(part)], str):
                place[int(part)] = {"name": place[int(part)]}
            place = place[int(part)]
        else:
            place = place.setdefault(part, {})
            if not isinstance(place, (dict, list)):
                raise InputError(f"{'.'.join(path[: position + 1])} is a plain value", key=f"--set {key}", expected="set it as a whole")
    if isinstance(place, list):
        if not last.isdigit() or int(last) >= len(place):
            raise InputError(f"{last!r} is no index of a list of {len(place)}", key=f"--set {key}")
        place[int(last)] = value
    else:
        place[last] = value


def _under_protocol(data: dict[str, Any], file: Path) -> dict[str, Any]:
    from harness.protocol_files import get

    frozen = get(data["protocol"])
    for key, value in frozen.items():
        if key in data and data[key] != value:
            raise InputError(
                f"{data[key]!r} overrides protocol {data['protocol']}", file=file, key=key, expected=f"it freezes {key} to {value!r}"
            )
    return {**data, **frozen}


def _readable(error: ValidationError, file: Path, marks: Any) -> InputError:
    first = error.errors()[0]
    shown = repr(first["input"]) if len(repr(first["input"])) < 80 else f"a {type(first['input']).__name__}"
    where = tuple(part for part in first["loc"] if not (isinstance(part, str) and ("[" in part or part in ("literal", "list"))))
    key = ".".join(map(str, where))
    if first["type"] == "extra_forbidden":
        known = _fields_at(where[:-1])
        near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return InputError(f"unknown key {where[-1]!r}", file=file, line=marks.line(where), key=key, expected=hint)
    if first["type"] == "missing":
        return InputError("is missing", file=file, line=marks.line(where[:-1]), key=key)
    return InputError(
        f"{shown} does not fit", file=file, line=marks.line(where), key=key, expected=first["msg"].lower().removeprefix("value error, ")
    )


def _fields_at(where: tuple[Any, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {"methods": MethodSpec, "tasks": TaskSpec, "seeds": SeedSpec}
    return list((models.get(str(where[0]), Suite) if where else Suite).model_fields)
