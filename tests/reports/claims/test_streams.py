"""Claims about test-time adaptation: exact ones on a random classifier, and measures that are another metric than the first."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from harness.reports.claims.scores import AGAINST, ARM, measured_by, seed_scores
from harness.reports.claims.streams import changed_by_reset, dropped_at_start, stream_answers

from harness.claims import Arm, Scores, Sizes
from harness.errors import InputError

SIZES = Sizes(width=8)


def test_a_filter_that_wants_a_rise_drops_the_first_batch() -> None:
    assert dropped_at_start(Arm("ostta"), SIZES) == 0
    assert dropped_at_start(Arm("ostta", {"rise": 0.05}), SIZES) == 16


@pytest.mark.parametrize("method", ["source", "bn-statistics", "tent", "ostta"])
def test_reset(method: str) -> None:
    assert changed_by_reset(Arm(method), SIZES) == 0


def test_answers_over_a_stream_tell_methods_apart() -> None:
    plain = stream_answers(Arm("tent"), SIZES)
    assert (plain == stream_answers(Arm("ostta", {"filter": "none"}), SIZES)).all()
    assert (plain != stream_answers(Arm("ostta"), SIZES)).any() and plain.shape == (64, 3)


def claim(**measures: Any) -> Scores:
    arms: dict[str, Any] = {"arm": Arm("ostta"), "against": Arm("ostta"), "tasks": ("t",), "backbone": "b"}
    return Scores("c", "text", **arms, relation="better", margin=0.1, **measures)


def results(**scores: float | None) -> Any:
    rows = [
        {"arm": arm, "seed": seed, "task": "t", "status": "ok", "score": 0.5, "data_digest": "d", "scores": json.dumps(scores)}
        for arm in (ARM, AGAINST)
        for seed in range(3)
    ]
    return cast(Any, SimpleNamespace(trials=pd.DataFrame(rows)))


def test_another_metric_and_two_of_one_method() -> None:
    found = seed_scores(measured_by(claim(measure="metric:a", against_measure="metric:b"), results(a=0.9, b=0.7)))
    assert found[ARM].tolist() == [0.9] * 3 and found[AGAINST].tolist() == [0.7] * 3
    assert seed_scores(measured_by(claim(measure="metric:a"), results(a=0.9)))[AGAINST].tolist() == [0.9] * 3


def test_an_undefined_metric_is_no_score() -> None:
    found = measured_by(claim(measure="metric:a"), results(a=None))
    assert all(math.isnan(value) for value in found["score"]) and not len(seed_scores(found))


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(InputError, match="is no measure"):
        measured_by(claim(measure="luck"), results())
