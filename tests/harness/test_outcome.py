"""Records: one row an example, from which predictions come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from harness import catalog
from harness.outcome import FINAL, STATUSES, Outcome, predictions_of, records_of
from harness.predictions import Predictions
from harness.task import Row


def through_parquet(records: pd.DataFrame, folder: Path) -> pd.DataFrame:
    records.to_parquet(folder / "records.parquet", index=False)
    return pd.read_parquet(folder / "records.parquet")


def test_label_scores_come_back_with_their_padding(entries, tmp_path: Path) -> None:
    task = catalog.load("task", "word-parity")()
    rows = tuple(task.test()[:3])
    scores = np.array([[0.1, -np.inf], [0.2, 0.30000000000000004], [-1e-300, 5.0]])
    given = Predictions(tuple(row.id for row in rows), scores=scores, prompts=("a", "b", "c"))
    records = through_parquet(records_of(given, rows, task), tmp_path)
    assert records["gold"].tolist() == [task.labels[row.target] for row in rows]
    assert records["prediction"].tolist() == ["even", "odd", "odd"] and records["prompt"].tolist() == ["a", "b", "c"]
    assert {f"stat:{metric}" for metric in task.metrics} <= set(records)
    again = predictions_of(records, task)
    assert again.ids == given.ids and again.scores is not None and np.array_equal(again.scores, scores)


def test_texts_come_back_before_and_after_their_filter(entries, tmp_path: Path) -> None:
    task = catalog.load("task", "first-word")()
    rows = (Row("a", {"text": "x"}, "x"), Row("b", {"text": "y"}, ("y", "why")))
    given = Predictions(("a", "b"), texts=("x", ""), raw_texts=("x\n", " z"), tokens=(1, 3), stops=("stop", "length"))
    records = through_parquet(records_of(given, rows, task), tmp_path)
    assert records["gold"].tolist() == ["x", "y | why"] and records["stop"].tolist() == ["stop", "length"]
    again = predictions_of(records, task)
    assert (again.texts, again.raw_texts) == (given.texts, given.raw_texts)
    assert np.stack(records["stat:exact_match"].to_list()).sum(axis=0)[0] == 1


def test_only_what_would_come_out_again_is_final() -> None:
    assert set(FINAL) < set(STATUSES) and "timed_out" not in FINAL and "out_of_memory" not in FINAL
    assert Outcome("failed", "why").result()["reason"] == "why"


def test_answers_that_are_measures_alone_are_kept() -> None:
    from harness.predictions import Predictions
    from harness.registry import Entry
    from harness.task import Row, Task

    class Edits(Task):
        entry = Entry("task", "edits")
        kind, metrics = "editing", ()

    answers = Predictions(("a", "b"), measures={"efficacy": np.array([0.5, np.nan])})
    kept = records_of(answers, (Row("a", {}, "blue"), Row("b", {}, "red")), Edits())
    assert kept["prediction"].isna().all() and kept["gold"].to_list() == ["blue", "red"]
    np.testing.assert_array_equal(predictions_of(kept, Edits()).measures["efficacy"], answers.measures["efficacy"])
