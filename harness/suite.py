"""A suite: a grid with a question, as YAML. Validated whole before anything runs; errors name file, line, key and value."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, PrivateAttr, Tag, ValidationError

from harness import safe_yaml
from harness.backbones.describe import from_text
from harness.errors import InputError
from harness.registry import method_kind
from harness.settings import merged, nested


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
    """A method with a configuration, a grid over settings, or `tune: N` tries from its declared search space.

    A wrapper names what it runs in its configuration: `{name: deft, config: {alpha: 1, over: {lora: {rank: 8}}}}`. In a grid, dotted
    names reach inside: `grid: {over.lora.rank: [2, 4]}`.
    """

    name: str
    label: str | None = None
    config: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    tune: int | None = Field(default=None, ge=1, strict=True)
    tune_per: Literal["task", "seed"] = "task"

    def variants(self) -> list[tuple[str, dict[str, Any]]]:
        """(label, configuration) of every point of the grid."""
        points = [dict(zip(self.grid, values)) for values in itertools.product(*self.grid.values())] if self.grid else [{}]
        return [self._variant(point) for point in points]

    def _variant(self, point: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        config = merged(self.config, nested(point))
        settings = [f"{key}={value}" for key, value in point.items() if key != "over"]  # `over` is in the label's name
        return " ".join([self.label or default_label(self.name, config), *settings]), config


def default_label(name: str, config: Mapping[str, Any]) -> str:
    """How a method is called where its user gives no label.

    >>> default_label("deft", {"alpha": 1, "over": {"lora": {"rank": 8}}})
    'deft over lora'
    """
    over = config.get("over")
    if isinstance(over, Mapping) and len(over) == 1:
        ((inner, inside),) = over.items()
        return f"{name} over {default_label(str(inner), inside if isinstance(inside, Mapping) else {})}"
    return f"{name} over {over}" if isinstance(over, str) else name


class Named(BaseModel):
    """A registered entry with settings beside its name: `rs2`, or `{name: rs2, ratio: 0.1, label: a tenth}`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    label: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @property
    def shown(self) -> str:
        """Its label: as given, or the name with what was set."""
        return self.label or " ".join([self.name, *(f"{key}={value}" for key, value in self.config.items())])


class FormatSample(Strict):
    """So many templates from a grammar of formats (see harness/formats.py), drawn by `seed` alone: the same for every trial."""

    sample: int = Field(ge=1, strict=True)
    phrases: Literal["auto", "common", "sentiment", "topic"] = "auto"
    seed: int = Field(default=0, ge=0, strict=True)


def _asked_as(value: Any) -> str:
    """Which form of `templates` was written, so that an error speaks of that one alone."""
    return "FormatSample" if isinstance(value, (Mapping, FormatSample)) else "list" if isinstance(value, list) else "literal"


Templates = Annotated[
    Annotated[Literal["first", "all"], Tag("literal")] | Annotated[list[str], Tag("list")] | Annotated[FormatSample, Tag("FormatSample")],
    Discriminator(_asked_as),
]


class TaskSpec(Strict):
    name: str
    config: dict[str, Any] = {}
    templates: Templates | None = None


Stream = Literal["data", "demos", "init", "order", "noise"]
Varied = Literal[Stream, "pretrain"]  # seeds of the artifacts that a trial is made with are no streams of the trial
Unit = Literal["steps", "epochs", "examples", "forward_calls", "seconds"]  # those of harness.training.Budget, which needs torch
Seed = Annotated[int, Field(ge=0, strict=True)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


def _different(numbers: list[int]) -> list[int]:
    if len(set(numbers)) < len(numbers):
        raise ValueError("a seed stands there twice: it would count as two runs")
    return numbers


def _rising(numbers: list[int]) -> list[int]:
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise ValueError("numbers of seeds after which one will look, each more than the one before")
    return numbers


class SeedSpec(Strict):
    """How many replicates (or which numbers), which streams vary with them, and which are held."""

    numbers: Annotated[list[Seed], Field(min_length=1), AfterValidator(_different)]
    vary: list[Varied] = list(get_args(Varied))
    hold: dict[Varied, int] = {}

    def streams(self, number: int) -> dict[str, int]:
        return {name: self._number(name, number) for name in get_args(Stream)}

    def pretraining(self, number: int) -> int:
        """The seed of recipes and preparations that name none themselves."""
        return self._number("pretrain", number)

    def _number(self, name: Varied, number: int) -> int:
        return self.hold.get(name, number if name in self.vary else 0)


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
    """A grid of methods x tasks x backbones x templates x shots x seeds, and the question it answers; or several grids, as `parts`."""

    suite: Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$")]
    question: str
    arms: list[Literal["method", "backbone", "template", "selection"]] = ["method"]
    backbones: Annotated[list[Annotated[dict[str, Any], BeforeValidator(_backbone)]], BeforeValidator(_as_list), Field(min_length=1)]
    methods: Annotated[list[Annotated[MethodSpec, BeforeValidator(_named)]], BeforeValidator(_as_list), Field(min_length=1)]
    tasks: Annotated[list[Annotated[TaskSpec, BeforeValidator(_named)]], BeforeValidator(_as_list), Field(min_length=1)]
    templates: Templates = "first"
    shots: Annotated[list[Any], BeforeValidator(_as_list), Field(min_length=1)] = [16]
    dev: Any = 0
    selections: Annotated[list[Annotated[Named, BeforeValidator(_named)]], BeforeValidator(_as_list), Field(min_length=1)] = [
        Named(name="none")
    ]
    probes: Annotated[list[Annotated[Named, BeforeValidator(_named)]], BeforeValidator(_as_list)] = []
    seeds: Annotated[SeedSpec, BeforeValidator(_seeds)] = SeedSpec(numbers=[0, 1, 2, 3, 4])
    tuning_seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_different)] = [1000]
    budget: dict[Unit, Amount] = {}
    select: Literal["best_dev", "last"] = "best_dev"
    test_rows: int | None = Field(default=None, ge=1, strict=True)
    precision: Literal["fp32", "bf16"] = "fp32"
    protocol: str | None = None
    baseline: str | None = None
    looks: Annotated[list[Annotated[int, Field(ge=2, strict=True)]], Field(min_length=1), AfterValidator(_rising)] | None = None
    family: str | None = None
    parts: list[dict[str, Any]] = []
    _file: Path | None = PrivateAttr(None)
    _marks: safe_yaml.Marks | None = PrivateAttr(None)
    _grids: tuple[Suite, ...] = PrivateAttr(())
    _part: int | None = PrivateAttr(None)  # which of the suite's parts this grid is

    @property
    def grids(self) -> tuple[Suite, ...]:
        """The suite's grids: one for each of its `parts`, whose keys are laid over the suite's own, or the suite itself."""
        return self._grids or (self,)

    def error(self, path: safe_yaml.KeyPath, error: InputError) -> InputError:
        """`error` about the value at `path`, with the suite's file and line."""
        path = _in_part(self.parts, self._part, path)
        key = ".".join(part for part in (safe_yaml.key_text(path), error.key) if part)
        line = self._marks.line((*path, error.key)) if self._marks is not None else None
        message = f"{error.file}: {error.message}" if error.file is not None else error.message
        return InputError(message, file=self._file, line=line, key=key, expected=error.expected)


def load_suite(name: str | Path, settings: Mapping[str, Any] | None = None) -> Suite:
    """A suite by registered name or by path, with `settings` (dotted keys, as from `--set k=v`) laid over it."""
    file = _file(name)
    data, marks = safe_yaml.load(file)
    if not isinstance(data, dict):
        raise InputError("holds no mapping", file=file, expected="a suite starts with `suite: NAME`")
    for key, value in (settings or {}).items():
        _lay(data, key, value)
    parts = _parts(data, file, marks)
    grids = [_validated({**data, **part, "parts": parts}, i if parts else None, file, marks) for i, part in enumerate(parts or [{}])]
    suite = grids[0].model_copy() if parts else grids[0]  # what stands in the parts alone shows the first one's
    if parts:
        suite._part, suite._grids = None, tuple(grids)
    return suite


def _validated(data: dict[str, Any], part: int | None, file: Path, marks: safe_yaml.Marks) -> Suite:
    try:
        if data.get("protocol"):
            data = _under_protocol(data, file)
        suite = Suite.model_validate(data)
    except ValidationError as error:
        raise _readable(error, file, marks, data.get("parts", []), part) from None
    suite._file, suite._marks, suite._part = file, marks, part
    _check_names(suite)
    return suite


WHOLE = ("suite", "question", "arms", "protocol", "baseline", "looks", "parts")  # keys that all parts of a suite share


def _parts(data: dict[str, Any], file: Path, marks: safe_yaml.Marks) -> list[dict[str, Any]]:
    """The suite's parts as written. InputError where they are no mappings, say what is the whole suite's, or leave a key without use."""
    parts = data.get("parts", [])
    if not isinstance(parts, list) or not all(isinstance(part, dict) and part for part in parts):
        raise InputError(
            "is no list of mappings", file=file, line=marks.line(("parts",)), key="parts", expected="keys of a suite in each part"
        )
    for i, part in enumerate(parts):
        for key in part:
            if key in WHOLE:
                wrong = f"all parts of a suite share its {key}"
                raise InputError(
                    wrong, file=file, line=marks.line(("parts", i, key)), key=f"parts.{i}.{key}", expected="say it outside of `parts`"
                )
    for key in data:
        if parts and all(key in part for part in parts):
            raise InputError("every part says its own", file=file, line=marks.line((key,)), key=key, expected="set parts.0." + key)
    return parts


def _in_part(parts: list[dict[str, Any]], part: int | None, path: safe_yaml.KeyPath) -> safe_yaml.KeyPath:
    """Where in the file a value of a part's grid stands: in the part, or beside `parts` for all of them."""
    return ("parts", part, *path) if part is not None and path and path[0] in parts[part] else path


def _check_names(suite: Suite) -> None:
    """Names that the catalog does not know are refused here, where their line is known."""
    from harness import catalog

    for i, spec in enumerate(suite.methods):
        _check_wrapped(suite, i, spec)
    wanted: list[tuple[tuple[Any, ...], str, str]] = []
    wanted += [(("selections", i), "selection", spec.name) for i, spec in enumerate(suite.selections) if spec.name != "none"]
    wanted += [(("probes", i), "probe", spec.name) for i, spec in enumerate(suite.probes)]
    wanted += [(("tasks", i), "task", spec.name) for i, spec in enumerate(suite.tasks)]
    wanted += [
        (("backbones", i), "backbone", spec["name"]) for i, spec in enumerate(suite.backbones) if "/" not in str(spec.get("name", "/"))
    ]
    wanted += [(("backbones", i), "recipe", spec["recipe"]) for i, spec in enumerate(suite.backbones) if "recipe" in spec]
    for path, kind, name in wanted:
        try:
            catalog.find(kind, str(name))
        except InputError as error:
            raise suite.error(path, error) from None


def _check_wrapped(suite: Suite, i: int, spec: MethodSpec) -> None:
    """Every configuration's method, and, of wrappers, whether it says what they run."""
    from harness import catalog

    for _, config in spec.variants():
        kind = method_kind(config)
        try:
            catalog.find(kind, spec.name)
        except InputError as error:
            other = "wrapper" if kind == "method" else "method"
            expected = "say what it runs: config: {over: METHOD}" if other == "wrapper" else "only wrappers run `over` another"
            misused = any(entry.name == spec.name for entry in catalog.entries(other))
            wrong = InputError(f"{spec.name} is a {other}", key="config", expected=expected) if misused else error
            raise suite.error(("methods", i), wrong) from None


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


def _readable(error: ValidationError, file: Path, marks: Any, parts: list[dict[str, Any]], part: int | None) -> InputError:
    first = error.errors()[0]
    shown = repr(first["input"]) if len(repr(first["input"])) < 80 else f"a {type(first['input']).__name__}"
    inside = tuple(
        step for step in first["loc"] if not (isinstance(step, str) and ("[" in step or step in ("literal", "list", "FormatSample")))
    )
    where = _in_part(parts, part, inside)
    key = ".".join(map(str, where))
    if first["type"] == "extra_forbidden":
        known = _fields_at(inside[:-1])
        near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return InputError(f"unknown key {where[-1]!r}", file=file, line=marks.line(where), key=key, expected=hint)
    if first["type"] == "missing":
        return InputError("is missing", file=file, line=marks.line(where[:-1]), key=key)
    return InputError(
        f"{shown} does not fit", file=file, line=marks.line(where), key=key, expected=first["msg"].lower().removeprefix("value error, ")
    )


def _fields_at(where: tuple[Any, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {"methods": MethodSpec, "tasks": TaskSpec, "seeds": SeedSpec, "templates": FormatSample}
    return list((models.get(str(where[0]), Suite) if where else Suite).model_fields)
