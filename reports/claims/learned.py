"""Claims about pretraining: both recipes are run over seeds as artifacts of a store, and their curves of held-out loss compared.

For each seed the target is the loss at which `against` ends; both are counted up to the first point of their curve that reaches it. The claim is about the logarithm of the ratio, by the paired t-test over pretraining seeds, two-sided at 5%.
A seed on which the arm never gets there counts with what the whole run took, which makes the arm look better than it is; how many there
were is said.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from harness.artifact_store import folder_of, read
from harness.claims import Learned
from harness.store import Store
from harness.suite import Suite

from ..statistics import paired_t, time_to_target
from .judge import Verdict
from .known import Known

ARM, AGAINST = "claimed", "against"


def judge_learned(known: Known, claim: Learned, store: Path) -> Verdict:
    from harness.api import run_session

    session = run_session(suite_of(known, claim), store=store, workers=0, device="cpu")
    return decided(claim, curves_of(claim, session.plan.artifacts(), Store(store)))


def suite_of(known: Known, claim: Learned) -> Suite:
    """Both recipes under a method that costs nothing: it is the artifacts that are wanted."""
    assert claim.against is not None
    arms = [(ARM, claim.arm), (AGAINST, claim.against)]
    return Suite.model_validate(
        {
            "suite": f"claim-{known.system}-{claim.name}",
            "question": claim.text,
            "arms": ["backbone"],
            "backbones": [{"recipe": arm.method, "config": dict(arm.config), "label": label} for label, arm in arms],
            "methods": ["majority"],
            "tasks": ["world-topic"],
            "shots": 1,
            "test_rows": 8,
            "seeds": claim.seeds,
        }
    )


def curves_of(claim: Learned, artifacts: dict, store: Store) -> dict[int, dict[str, pd.DataFrame]]:  # type: ignore[type-arg]
    """seed -> arm -> curve, for seeds on which both recipes ended well."""
    from harness.artifacts import producer_class

    assert claim.against is not None
    configs = {
        label: producer_class("recipe", arm.method)(**arm.config).config for label, arm in ((ARM, claim.arm), (AGAINST, claim.against))
    }
    found: dict[int, dict[str, pd.DataFrame]] = {}
    for key, node in artifacts.items():
        stored = read(folder_of(store, node.artifact, key))
        if stored is not None and stored.result["status"] == "ok":
            label = next(label for label, config in configs.items() if config == node.artifact.config)
            found.setdefault(node.artifact.seeds["init"], {})[label] = stored.curve()
    return {seed: arms for seed, arms in found.items() if len(arms) == 2}


def decided(claim: Learned, curves: dict[int, dict[str, pd.DataFrame]]) -> Verdict:
    """The verdict on curves with columns step, dev_score (minus the held-out loss) and flops."""
    if len(curves) < claim.seeds:
        return Verdict(
            "not run", reason=f"{claim.seeds - len(curves)} of {claim.seeds} seeds have no curve in both arms", seeds=len(curves)
        )
    column = "step" if claim.measure == "steps" else "flops"
    pairs, never = [], 0
    for arms in curves.values():
        target = float(arms[AGAINST]["dev_score"].iloc[-1])
        reached = [time_to_target(arms[label][column], arms[label]["dev_score"], target).value for label in (ARM, AGAINST)]
        never += reached[0] is None
        pairs.append([value if value is not None else float(arms[label][column].iloc[-1]) for value, label in zip(reached, (ARM, AGAINST))])
    logs = np.log(np.asarray(pairs))
    test = paired_t(logs[:, 0], logs[:, 1])
    missed = f"; {never} seeds never got there" if never else ""
    if test.estimate is None or test.ci_low is None or test.ci_high is None:
        return Verdict("cannot show at this scale", reason=test.degenerate or "the ratio has no interval", seeds=len(curves))
    low, middle, high = (float(np.exp(value)) for value in (test.ci_low, test.estimate, test.ci_high))
    measured = f"ratio of {claim.measure} {middle:.3f}, 95% interval {low:.3f} to {high:.3f}{missed}"
    result = "holds" if high < 1 and not never else "does not hold" if low > 1 or never == len(curves) else "cannot show at this scale"
    reason = "the interval holds 1" if low <= 1 <= high else "some seeds never got there" if never and result.startswith("cannot") else ""
    return Verdict(result, measured=measured, reason=reason, seeds=len(curves), test=f"{test.method} of log ratios, over seeds")  # type: ignore[arg-type]
