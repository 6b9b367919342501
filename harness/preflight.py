"""What a run would stumble over, refused before anything is written: weights, code of their own, rows, templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.artifacts import kind_of
from harness.backbones.describe import BackboneInfo, describe
from harness.backbones.files import check_weights
from harness.depends import Memory, versions
from harness.errors import InputError
from harness.identity import canonical, digest, digest_source
from harness.planning import Plan
from harness.seeds import Streams
from harness.task import Shots
from harness.trial import Trial

CHECKED_ROWS = 8  # of each split, rendered before anything runs
_CHECKED = Memory("preflight")  # draws that were found to be in order, by the digest of all they depend on


def preflight(plan: Plan, *, trust: Sequence[str] = ()) -> None:
    """What a run would stumble over, refused before anything is written: weights, code, rows, templates. Raises InputError.

    Rows are drawn once for each task, template and number of shots, with the first seed; a draw that was in order is remembered
    by the digest of the task's content and source.
    """
    trials = plan.trials()
    specs = [trial.backbone for trial in trials.values()]
    for node in plan.artifacts().values():
        specs += [*node.artifact.inputs.backbones, *(trial.backbone for trial in node.trials.values())]
    for spec in {canonical(spec): spec for spec in specs if kind_of(spec) is None}.values():
        _check_backbone(spec, trust)
    for key, trial in {canonical(_drawn_from(trial)): (key, trial) for key, trial in reversed(trials.items())}.values():
        mark = digest([_drawn_from(trial), trial.seeds["data"], plan.depends[key]["task"], digest_source(Streams), digest_source(Shots)])
        if _CHECKED.get(mark) is None:
            _check_rows(trial)
            _CHECKED.put(mark, trial.task)


def _drawn_from(trial: Trial) -> list[Any]:
    return [trial.task, trial.task_config, trial.template, trial.train, trial.dev, trial.test_rows]


def _check_backbone(spec: Mapping[str, Any], trust: Sequence[str]) -> None:
    info = describe(spec)
    if info.remote_code and f"{info.name}@{info.revision}" not in trust:
        wanted = f"trust it with --trust-remote-code {info.name}@{info.revision}"
        raise InputError(f"{info.name} needs code of its own to run", key="backbones", expected=wanted)
    if info.folder is not None:
        check_weights(info.folder)
        _check_loads(spec, info, tuple(trust))


LARGEST_TRIED = 1 << 30  # bytes of weights that are loaded to see whether they can be; larger ones are only opened


def _check_loads(spec: Mapping[str, Any], info: BackboneInfo, trust: tuple[str, ...]) -> None:
    """Load a backbone once, to see that its weights fit its configuration and its tokenizer can be read; then it is known by its digests."""
    from harness.backbones.load import load

    mark = digest(["loads", info.identity, info.remote_code, versions()])
    small = info.folder is not None and sum(file.stat().st_size for file in info.folder.rglob("*") if file.is_file()) <= LARGEST_TRIED
    if small and _CHECKED.get(mark) is None:
        load(spec, trust_remote_code=trust)
        _CHECKED.put(mark, info.name)


def _check_rows(trial: Trial) -> None:
    from harness.execute import data_of, task_of
    from harness.text import render_all, template_of

    task = task_of(trial)
    try:
        data = data_of(trial, task, Streams(trial.seeds))
        if trial.template is not None:
            template = template_of(task, trial.template)
            for rows in (data.train, data.dev, data.test):
                render_all(task, template, rows[:CHECKED_ROWS])
    except InputError as error:
        place = task.name if trial.template is None else f"{task.name}.templates.{trial.template}"
        raise error.located(key=place) from None
