"""lm-evaluation-harness: results_*.json, with samples_*.jsonl where they were logged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError

from .frame import EXAMPLE_COLUMNS, Imported, complete, digest_of, trial_id

PREFERRED = ("acc", "exact_match", "em", "f1", "mcc", "acc_norm", "pass@1", "bleu", "word_perplexity", "perplexity")


def read_lm_eval(path: Path, *, metric: str | None = None) -> Imported:
    """Arms are models. Samples make per-example scores where their mean is the published value; otherwise the published standard error is kept,
    which covers examples alone. Groups are left out: their tasks are there."""
    files = [path] if path.is_file() else sorted(path.glob("**/results*.json"))
    if not files or not path.exists():
        raise InputError("holds no results*.json", file=path, expected="the output folder of lm-evaluation-harness")
    used, rows, examples = list(files), [], []
    digest = digest_of(files)
    for file in files:
        record = _load(file)
        if not isinstance(record.get("results"), Mapping):
            raise InputError("has no `results`", file=file, expected="a results file of lm-evaluation-harness")
        for task, values in record["results"].items():
            if task in record.get("groups", {}) or not any(isinstance(v, (int, float)) for v in values.values()):
                continue
            row = _row(record, task, values, metric, file)
            row["trial_id"] = trial_id(digest, row["arm"], task, row["shots"])
            samples = _samples(file, task)
            if samples is not None:
                used.append(samples)
                found = _examples(samples, row, values)
                if found is not None:
                    examples.append(found)
                    row |= {"score_sd": None, "score_n": None, "score_spread_covers": None, "data_digest": f"{task} as published"}
            rows.append(row)
    trials = complete(rows, source=path.stem if path.is_file() else path.name, digest=digest)
    return Imported(trials, pd.concat(examples, ignore_index=True) if examples else None, digest_of(used))


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError("is no JSON", file=path) from error
    if not isinstance(found, dict):
        raise InputError("is no JSON object", file=path, expected="a results file of lm-evaluation-harness")
    return found


def _row(record: Mapping[str, Any], task: str, values: Mapping[str, Any], wanted: str | None, file: Path) -> dict[str, Any]:
    scores = {
        key.split(",")[0]: float(v)
        for key, v in values.items()
        if isinstance(v, (int, float)) and "_stderr" not in key and key not in ("alias", "sample_len")
    }
    name = wanted if wanted in scores else next((m for m in PREFERRED if m in scores), next(iter(scores), None))
    if name is None:
        raise InputError(f"{task} has no numeric metric", file=file)
    errors = {key.split(",")[0].removesuffix("_stderr"): v for key, v in values.items() if "_stderr" in key}
    se = errors.get(name)
    n = (record.get("n-samples") or {}).get(task, {}).get("effective") or values.get("sample_len")
    # a standard error of exactly 0 for a score inside (0, 1) is a placeholder there, no measurement
    known = isinstance(se, (int, float)) and n and not (se == 0 and 0 < scores[name] < 1)
    config = record.get("config") or {}
    better = (record.get("higher_is_better") or {}).get(task, {}).get(name, "perplexity" not in name)
    shots = (record.get("n-shot") or {}).get(task)
    return {
        "arm": _model(record, config), "task": task, "task_version": _version((record.get("versions") or {}).get(task)), "metric": name,
        "higher_is_better": bool(better), "ceiling": 1.0 if "perplexity" not in name and scores[name] <= 1 else None, "backbone": _model(record, config),
        "shots": None if shots is None else f"{shots} shots", "demonstrations": shots, "score": scores[name], "scores": json.dumps(scores),
        "n_test": n, "score_sd": float(se) * float(n) ** 0.5 if known and isinstance(se, (int, float)) and n else None,
        "score_n": n if known else None, "score_spread_covers": "examples" if known else None, "started": None,
    }  # fmt: skip


def _model(record: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    name = record.get("model_name") or config.get("model_args") or config.get("model") or "model"
    if isinstance(name, Mapping):
        name = name.get("pretrained", config.get("model", "model"))
    found = re.search(r"pretrained=([^,]+)", str(name))
    return found.group(1) if found else str(name)


def _version(value: Any) -> int | None:
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return None


def _samples(results: Path, task: str) -> Path | None:
    stamp = results.stem.removeprefix("results").strip("_")
    found = [p for p in sorted(results.parent.glob(f"samples_{task}_*.jsonl")) if not stamp or stamp in p.stem]
    return found[-1] if found else None


def _examples(path: Path, row: Mapping[str, Any], values: Mapping[str, Any]) -> pd.DataFrame | None:
    """Per-example values of the primary metric; None where their mean is not the published score (then it is no plain mean)."""
    by_filter: dict[str, list[tuple[str, float]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            sample = json.loads(line)
        except ValueError as error:
            raise InputError("is no JSON", file=path, line=number) from error
        value = sample.get(row["metric"])
        if isinstance(value, (int, float)):
            by_filter.setdefault(str(sample.get("filter", "none")), []).append((str(sample.get("doc_id", number)), float(value)))
    for pairs in by_filter.values():
        mean = sum(value for _, value in pairs) / len(pairs)
        if abs(mean - row["score"]) <= 1e-6 * max(1.0, abs(mean)) and len({example for example, _ in pairs}) == len(pairs):
            frame = pd.DataFrame({"example": [e for e, _ in pairs], "statistics": [[v, 1.0] for _, v in pairs]})
            frame = frame.assign(trial_id=row["trial_id"], task=row["task"], metric=row["metric"], cluster=None)
            return frame[list(EXAMPLE_COLUMNS)]
    return None
