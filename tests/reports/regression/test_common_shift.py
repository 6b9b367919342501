"""Everything moved together: the evaluation stack is suspected, and the versions that changed are named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from harness.reports.regression.common_shift import Moved, common_shift
from harness.reports.regression.compare import compare

ARMS = ("a", "b", "c", "d", "e", "f")


def test_a_shift_of_all_arms_is_suspected_and_versions_named(run_suite):
    def newer(row):
        row["environment"] = json.dumps({"torch": "2.14.0", "transformers": "5.0.0"})

    found = compare(run_suite(1, arms=ARMS), run_suite(2, arms=ARMS, shift=-0.6, change=newer))
    assert "all cells" in {test.group for test in found.shift.suspected}
    assert json.loads(json.dumps(found.to_dict()))["common_shift"]["suspected"] is True
    text = " ".join(found.shift.sentences(found.changed_versions))
    assert "6 arms moved down together" in text and "torch 2.13.0 to 2.14.0" in text and "transformers" not in text


def test_a_shift_without_a_recorded_change_says_so(run_suite):
    found = compare(run_suite(1, arms=ARMS), run_suite(2, arms=ARMS, shift=-0.6))
    assert "No recorded version changed" in found.shift.sentences(found.changed_versions)[-1]


def test_one_task_alone_is_named(run_suite):
    shift = {(arm, "rte"): -1.0 for arm in ARMS}
    found = compare(run_suite(1, arms=ARMS), run_suite(2, arms=ARMS, shift=shift))
    assert "task rte" in {test.group for test in found.shift.suspected}
    assert "task sst2" not in {test.group for test in found.shift.suspected}


def test_one_arm_that_lost_is_no_common_shift(run_suite):
    shift = {("a", task): -1.5 for task in ("sst2", "rte")}
    found = compare(run_suite(1, arms=ARMS), run_suite(2, arms=ARMS, shift=shift))
    assert not found.shift.suspected


def test_two_arms_cannot_tell(run_suite):
    found = compare(run_suite(1), run_suite(2, shift=-1.0))
    assert not found.shift.suspected and {test.reason for test in found.shift.tests} == {"fewer than 3 arms"}


def test_identical_runs_do_not_move(run_suite):
    found = compare(run_suite(1, arms=ARMS), run_suite(1, arms=ARMS))
    assert not found.shift.suspected and found.shift.arms_flipped == 0


def test_level_of_the_common_shift_test():
    """Independent cells of 8 arms x 4 tasks, each z a t with 4 df: suspicions beyond 5 % + the 99.9 % binomial bound fail."""
    rng = np.random.default_rng(1)
    alarms, runs = 0, 400
    for _ in range(runs):
        z = rng.standard_t(4, size=(8, 4))
        cells = [Moved(f"arm {i}", f"task {j}", "tiny", float(z[i, j]), float(z[i, j]) / 100, True) for i in range(8) for j in range(4)]
        alarms += bool(common_shift(cells).suspected)
    assert alarms <= 0.05 * runs + 3.1 * np.sqrt(0.05 * 0.95 * runs)


@pytest.mark.parametrize("arms", [3, 6])
def test_power_of_the_common_shift_test(arms):
    rng = np.random.default_rng(2)
    found = sum(
        bool(
            common_shift(
                [Moved(f"arm {i}", "t", "tiny", float(z), float(z), True) for i, z in enumerate(rng.normal(-3, 1, arms))]
            ).suspected
        )
        for _ in range(200)
    )
    assert found > 100
