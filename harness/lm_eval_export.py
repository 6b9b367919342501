"""lm-evaluation-harness result and sample files (its schema of 0.4.13) from our tasks, templates and predictions.

    write(folder, "tiny-gpt2", [Scored(task, "lm-eval", rows, predictions, demonstrations=2)])

makes `folder/<model>/results_<date>.json` and `samples_<task>_<date>.jsonl`. What we do not compute (whether a label is the
greedy continuation) is null, never guessed. A task without prompts (regression) has no such form and is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import InputError
from harness.lm_eval_tasks import METRICS
from harness.metrics import get, score
from harness.predictions import Predictions
from harness.task import Row, Task
from harness.templates import Rendered

if TYPE_CHECKING:
    from harness.store import Store, Stored

NAMES = {ours: theirs for theirs, ours in METRICS.items()}


@dataclass(frozen=True)
class Scored:
    """One task as answered through one template. `alias` names it where one file holds a task several times."""

    task: Task
    template: str
    rows: Sequence[Row]
    predictions: Predictions
    demonstrations: int = 0
    alias: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)  # what else goes into the task's `configs` entry

    @property
    def name(self) -> str:
        return self.alias or self.task.name


def samples(scored: Scored) -> list[dict[str, Any]]:
    """One sample for each row, in order."""
    task = scored.task
    if task.kind == "regression" or not task.templates:
        raise InputError("lm-evaluation-harness has no form for a task without prompts", key=task.name)
    template = task.templates[scored.template]
    labels = task.labels if task.kind == "classification" else ()
    columns = _per_example(scored)
    found = []
    for i, row in enumerate(scored.rows):
        rendered = template.render(row.inputs, labels)
        context = scored.predictions.shared_prompt + _own_demonstrations(scored, i, rendered) + rendered.before
        if scored.predictions.scores is not None and rendered.answers is not None:
            arguments: list[list[Any]] = [[context, rendered.gap + answer] for answer in rendered.answers]
            numbers = [str(float(value)) for value in scored.predictions.scores[i][: len(rendered.answers)]]
            responses: list[Any] = [[[number, None]] for number in numbers]
            filtered: list[Any] = [[number, None] for number in numbers]
        else:
            arguments = [[context, {"until": list(task.stops), "max_gen_toks": task.max_new_tokens, "do_sample": False}]]
            answers = scored.predictions
            responses = [[(answers.raw_texts or answers.texts or ())[i]]]
            filtered = [(answers.texts or ())[i]]
        found.append(_sample(i, row, arguments, responses, filtered, {name: float(column[i]) for name, column in columns.items()}))
    return found


def _own_demonstrations(scored: Scored, i: int, rendered: Rendered) -> str:
    """What stands before the rendered row in its prompt as it was shown: demonstrations retrieved for it alone."""
    prompts = scored.predictions.prompts
    end = f"{rendered.before}{rendered.gap}____{rendered.after}"  # as text.prompt_of shows it
    return prompts[i].removesuffix(end) if prompts is not None and prompts[i].endswith(end) else ""


def _sample(
    number: int, row: Row, arguments: list[list[Any]], responses: list[Any], filtered: list[Any], values: dict[str, float]
) -> dict[str, Any]:
    doc = {"id": row.id, **row.inputs, "target": row.target}
    target = str(row.target)
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {f"gen_args_{i}": {f"arg_{j}": part for j, part in enumerate(pair)} for i, pair in enumerate(arguments)},
        "resps": responses,
        "filtered_resps": filtered,
        "filter": "none",
        "metrics": list(values),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False, default=str)),
        "prompt_hash": _hash(arguments[0][0]),
        "target_hash": _hash(target),
        **values,
    }


def _per_example(scored: Scored) -> dict[str, np.ndarray]:
    """Float [N] by lm-eval's metric name, for the task's metrics that are means of one number an example."""
    found = {}
    for name in scored.task.metrics:
        metric = get(name)
        if metric.mean:
            found[NAMES.get(name, name)] = metric.statistics(scored.predictions, scored.rows, scored.task)[:, 0]
    return found


def results(
    model: str, all_scored: Sequence[Scored], all_samples: Mapping[str, Sequence[Mapping[str, Any]]], **config: Any
) -> dict[str, Any]:
    """The content of a results file; `config` are further facts about the model and the run."""
    date = datetime.now(UTC).timestamp()
    return {
        "results": {item.name: _result(item) for item in all_scored},
        "group_subtasks": {item.name: [] for item in all_scored},
        "configs": {item.name: _config(item) for item in all_scored},
        "versions": {item.name: item.task.version for item in all_scored},
        "n-shot": {item.name: item.demonstrations for item in all_scored},
        "higher_is_better": {
            item.name: {NAMES.get(name, name): get(name).higher_is_better for name in item.task.metrics} for item in all_scored
        },
        "n-samples": {item.name: {"original": len(item.task.test()), "effective": len(item.rows)} for item in all_scored},
        "config": {"model": "hf", "model_args": {"pretrained": model}, "limit": None, **config},
        "date": date,
        "lm_eval_version": None,
        "model_source": "harness",
        "model_name": model,
        "model_name_sanitized": sanitised(model),
        "task_hashes": {
            name: _hash("".join(s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in found)) for name, found in all_samples.items()
        },
    }


def _result(item: Scored) -> dict[str, Any]:
    """Metric values under lm-eval's names, the standard error where the metric is a mean (sample deviation / sqrt(n)), else "N/A"."""
    columns = _per_example(item)
    found: dict[str, Any] = {}
    for ours in item.task.metrics:
        name, number = NAMES.get(ours, ours), len(item.rows)
        found[f"{name},none"] = score(ours, item.predictions, item.rows, item.task)
        error = float(np.std(columns[name], ddof=1) / np.sqrt(number)) if name in columns and number > 1 else "N/A"
        found[f"{name}_stderr,none"] = error
    return {"name": item.name, "alias": item.name, "sample_len": len(item.rows), **found}


def _config(item: Scored) -> dict[str, Any]:
    task, template = item.task, item.task.templates[item.template]
    return {
        "task": item.name,
        "output_type": "generate_until" if task.kind == "generation" else "multiple_choice",
        "doc_to_text": template.text,
        "doc_to_choice": dict(template.answers) if isinstance(template.answers, Mapping) else template.answers,
        "description": getattr(task, "prefix", ""),
        "fewshot_delimiter": getattr(task, "separator", "\n\n"),
        "num_fewshot": item.demonstrations,
        "metric_list": [{"metric": NAMES.get(name, name)} for name in task.metrics],
        "metadata": {"version": task.version, "template": item.template},
        **item.config,
    }


def sanitised(model: str) -> str:
    """A model's name as lm-evaluation-harness names its folder, confined to one folder."""
    return re.sub(r"[^\w.-]+", "_", model.strip("/").replace("/", "__")).lstrip(".") or "model"


def write(folder: str | Path, model: str, all_scored: Sequence[Scored], **config: Any) -> tuple[Path, ...]:
    """Write the results file and one sample file a task; the paths written, results first."""
    names = [item.name for item in all_scored]
    if len(set(names)) < len(names):
        raise InputError(f"{max(names, key=names.count)!r} stands twice", key="lm-eval export", expected="give each an alias")
    place = Path(folder) / sanitised(model)
    stamp = datetime.now(UTC).replace(tzinfo=None).isoformat().replace(":", "-")
    all_samples = {item.name: samples(item) for item in all_scored}
    content = results(model, all_scored, all_samples, **config)
    try:
        place.mkdir(parents=True, exist_ok=True)
        paths = [place / f"results_{stamp}.json"]
        paths[0].write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str), encoding="utf-8")
        for name, found in all_samples.items():
            paths.append(place / f"samples_{name}_{stamp}.jsonl")
            paths[-1].write_text("".join(json.dumps(sample, ensure_ascii=False, default=str) + "\n" for sample in found), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=place) from None
    return tuple(paths)


def export_store(store: Store, out: Path) -> Iterator[Path]:
    """Every finished trial of a store that answered a task through prompts, one results file each; other trials have no such form."""
    for stored in map(store.read, store.folders()):
        item = _from_store(stored) if stored is not None else None
        if stored is not None and item is not None:
            from harness.trial import backbone_name

            model = f"{backbone_name(stored.trial.backbone)}/{stored.trial.method}/{stored.trial.trial_id}"
            seeds = {f"{name}_seed": number for name, number in stored.trial.seeds.items()}
            yield from write(out / "lm-eval", model, [item], trial_id=stored.trial.trial_id, run_key=stored.run_key, **seeds)


def _from_store(stored: Stored) -> Scored | None:
    from dataclasses import replace

    from harness.execute import data_of, task_of
    from harness.outcome import predictions_of
    from harness.seeds import Streams

    trial = stored.trial
    records = stored.records()
    if stored.result["status"] != "ok" or trial.scored != "test" or records.empty:
        return None
    task = task_of(trial)
    if task.kind == "regression" or not task.templates or records["prompt"].isna().all():
        return None
    rows = data_of(trial, task, Streams(trial.seeds)).test
    shared, prompts = str(stored.result.get("shared_prompt", "")), tuple(records["prompt"])
    predictions = replace(predictions_of(records, task), shared_prompt=shared, prompts=prompts)
    shots = stored.result.get("facts", {}).get("notes", {}).get("demonstrations", 0)
    template = trial.template or next(iter(task.templates))
    return Scored(task, template, rows, predictions, demonstrations=int(shots or 0), config={"method": trial.method})


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
