"""benchmarks/training.py on a few steps: both sides compute the same losses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_both_sides_compute_the_same_losses() -> None:
    """The benchmark exits with 1 where a loss differs by more than 1e-4."""
    options = ["--seeds", "1", "--steps", "12", "--test-rows", "20", "--methods", "lora,front-prompt-tuning,front-p-tuning"]
    done = subprocess.run([sys.executable, "benchmarks/training.py", *options], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.count("losses differ by at most") == 3 and "ratio:" in done.stdout
