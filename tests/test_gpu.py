"""What only a GPU can show; collected with `pytest -m gpu` and, without one, skipped rather than passed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.execute import run_trial
from harness.executors.job import Settings
from harness.outcome import Outcome
from harness.trial import Trial

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def _trial(folder: Path, precision: str = "fp32") -> Trial:
    return Trial(
        task="world-sentiment",
        task_config={},
        backbone={"folder": str(folder)},
        method="lora",
        config={"steps": 5},
        template=None,
        train={"per_class": 4},
        dev={"per_class": 2},
        seeds=dict.fromkeys(("data", "demos", "init", "order", "noise"), 0),
        test_rows=50,
        precision=precision,
    )


@pytest.fixture
def outcome(backbone_folder: Callable[[str], Path]) -> Callable[..., Outcome]:
    def run(device: str, precision: str = "fp32") -> Outcome:
        found = run_trial(_trial(backbone_folder("masked_lm"), precision), device=device, deterministic=Settings("").deterministic)
        assert found.status == "ok", found.reason
        return found

    return run


def _scores(outcome: Outcome) -> np.ndarray:
    assert outcome.records is not None
    return np.stack(outcome.records["scores"].to_list())


def test_a_gpu_answers_as_a_cpu_does(outcome: Callable[..., Outcome]) -> None:
    assert np.abs(_scores(outcome("cpu")) - _scores(outcome("cuda"))).max() < 1e-2


def test_the_same_trial_repeats_bit_for_bit(outcome: Callable[..., Outcome]) -> None:
    assert np.array_equal(_scores(outcome("cuda")), _scores(outcome("cuda")))


def test_bf16_stays_near_fp32(outcome: Callable[..., Outcome]) -> None:
    assert np.abs(_scores(outcome("cuda")) - _scores(outcome("cuda", "bf16"))).max() < 0.5


def test_memory_is_the_allocators_peak(outcome: Callable[..., Outcome]) -> None:
    costs = outcome("cuda").costs
    assert costs.peak_bytes and "CUDA" in costs.memory_kind
