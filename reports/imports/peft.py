"""huggingface/peft's method comparison: a folder of its result JSONs, or summary.csv flattened from them. One run per experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError

from .frame import Imported, binomial_sd, complete, digest_of

GSM8K_TEST = 1319  # rows of GSM8K's test split; every published accuracy is a multiple of 1 / 1319


def read_peft(path: Path) -> Imported:
    """Arms are experiments. An accuracy over the 1,319 GSM8K test questions carries its binomial spread over examples; nothing is known of seeds."""
    if path.is_file() and path.suffix == ".csv":
        files, rows = [path], _from_summary(path)
    elif (path / "summary.csv").is_file():
        files, rows = [path / "summary.csv"], _from_summary(path / "summary.csv")
    else:
        files = sorted(path.glob("**/*.json")) if path.is_dir() else []
        rows = [row for file in files if (row := _from_json(file)) is not None]
    if not rows:
        raise InputError("holds no results of peft's method comparison", file=path, expected="a folder of its result JSONs, or summary.csv")
    return Imported(complete(_latest(rows), source="peft-method-comparison", digest=digest_of(files)), None, digest_of(files))


def _latest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of an experiment that was run again, the newest."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: str(row["started"])):
        newest[row["arm"], row["backbone"]] = row
    return list(newest.values())


def _from_json(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError("is no JSON", file=path) from error
    if not isinstance(record, dict) or "train_info" not in record or "run_info" not in record:
        return None
    run, train = record["run_info"], record["train_info"]
    last: dict[str, Any] = next((m for m in reversed(train.get("metrics", [])) if "test accuracy" in m), {})
    dev = [m["valid accuracy"] for m in train.get("metrics", []) if "valid accuracy" in m]
    config = run.get("peft_config") or {}
    return _row(
        experiment=run["experiment_name"], kind=config.get("peft_type", "full fine-tuning"), model=run["train_config"]["model_id"],
        seed=run["train_config"].get("seed", 0), created=run.get("created_at"), status=train.get("status"), accuracy=last.get("test accuracy"),
        dev=dev[-1] if dev else None, seconds=train.get("train_time"), peak=train.get("accelerator_memory_max"), size=train.get("file_size"),
        trainable=train.get("num_trainable_params"), tokens=last.get("train total tokens"), reason=run.get("error_msg"),
        forgetting=last.get("forgetting"),
    )  # fmt: skip


def _from_summary(path: Path) -> list[dict[str, Any]]:
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    missing = [name for name in ("experiment", "peft_type", "model", "last_metrics", "status") if name not in table]
    if missing:
        raise InputError(f"lacks the columns {', '.join(missing)}", file=path)
    rows = []
    for record in table.to_dict("records"):
        last = json.loads(record["last_metrics"]) if isinstance(record["last_metrics"], str) else {}
        rows.append(
            _row(
                experiment=record["experiment"], kind=record["peft_type"], model=record["model"], seed=record.get("seed", 0),
                created=record.get("created_at"), status=record["status"], accuracy=last.get("test accuracy"), dev=None,
                seconds=record.get("train_time"), peak=record.get("memory_max"), size=record.get("file_size"),
                trainable=record.get("trainable_params"), tokens=last.get("train total tokens"), reason=None, forgetting=last.get("forgetting"),
            )
        )  # fmt: skip
    return rows


def _row(
    *, experiment: str, kind: Any, model: str, seed: Any, created: Any, status: Any, accuracy: float | None, dev: float | None, seconds: Any,
    peak: Any, size: Any, trainable: Any, tokens: Any, reason: Any, forgetting: Any,
) -> dict[str, Any]:  # fmt: skip
    method = str(experiment).split("/")[0]
    ok = status == "success" and accuracy is not None
    scores = {"test accuracy": accuracy} | ({"forgetting": forgetting} if isinstance(forgetting, float) else {})
    return {
        "arm": experiment, "method": method, "tags": (str(kind).lower(),), "task": "gsm8k", "metric": "accuracy", "floor": 0.0, "ceiling": 1.0,
        "backbone": model, "seed": seed, "started": created, "status": "ok" if ok else "failed", "reason": None if ok else (reason or str(status)),
        "score": accuracy if ok else None, "dev_score": dev, "n_test": GSM8K_TEST, "seconds_train": seconds, "peak_bytes": peak,
        "stored_bytes": size, "trainable_parameters": trainable, "tokens": tokens, "scores": json.dumps(scores) if ok else "{}",
        "score_sd": binomial_sd(accuracy, GSM8K_TEST) if ok and accuracy is not None else None, "score_n": GSM8K_TEST,
        "score_spread_covers": "examples", "shots": "MetaMathQA, 20 000 samples",
    }  # fmt: skip
