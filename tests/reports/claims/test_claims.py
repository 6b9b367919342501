"""Claims as data, how they are judged, and what is shown of them."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from harness.reports.claims import Verdict, judge, known_claims
from harness.reports.claims.command import claims as command
from harness.reports.claims.judge import shown
from harness.reports.claims.known import Known
from harness.reports.claims.measures import _texts, step_cost
from harness.reports.claims.page import claim_rows, keep, kept, markdown
from harness.reports.claims.scores import decided, seed_scores, suite_of

from harness import catalog
from harness.artifacts import producer_class
from harness.claims import Arm, Claim, Cost, Exact, Learned, Scores, Shape, Share, Sizes
from harness.errors import InputError
from harness.registry import method_kind

ROOT = Path(__file__).parents[3]
ARMS: dict[str, Any] = {"arm": Arm("lopt", {"length": 10, "rank": 2}), "against": Arm("prompt-tuning", {"length": 10})}
SCORES = Scores("s", "about scores", **ARMS, relation="better", margin=0.02, tasks=("world-topic",), backbone="tiny-masked-lm")


def known(claim: Claim) -> Known:
    return Known("lopt", "arXiv:1", claim)


def test_every_claim_of_every_method_is_well_formed() -> None:
    found = known_claims()
    assert {"lopt", "dept"} <= {item.system for item in found}
    for item in found:
        claim = item.claim
        for arm in (claim.arm, claim.against):
            if arm is not None and isinstance(claim, Share):
                assert claim.measure in catalog.load("tool", arm.method).measures, item.name
            elif arm is not None:
                if isinstance(claim, Learned) or getattr(claim, "measure", "") == "added_parameters":  # arms are recipes
                    producer_class("recipe", arm.method)(**arm.config)
                else:
                    catalog.load(method_kind(arm.config), arm.method)(**arm.config)
        if isinstance(claim, Scores):
            assert claim.seeds >= 10 and suite_of(item, claim).question == claim.text
            assert claim.stand_in, f"{item.name} needs a property test that stands in"
            for task in claim.tasks:
                catalog.find("task", task)
            catalog.find("backbone", claim.backbone)
        if claim.stand_in:
            file, _, name = claim.stand_in.partition("::")
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{item.name}: {claim.stand_in} is not there"


def test_an_exact_ratio_holds_or_fails_as_a_fraction() -> None:
    claim = Exact("r", "ratio", **ARMS, measure="trainable_parameters", at=Shape("x", width=1280, layers=1), equals=Fraction(2580, 12800))
    assert judge(known(claim)) == Verdict("holds", measured="129/640 = 0.202")
    near = dataclasses.replace(claim, equals=Fraction(2015, 10000))
    assert judge(known(near)).result == "does not hold", "decimals are not enough"


def test_identities_are_measured_on_real_models() -> None:
    same = Exact(
        "i",
        "same start",
        arm=Arm("prompt-tuning", {"length": 3}),
        against=Arm("prompt-tuning", {"length": 3}),
        measure="start_difference",
        at_most=0,
    )
    assert judge(known(same)).result == "holds"
    other = dataclasses.replace(same, against=Arm("prompt-tuning", {"length": 4}))
    assert judge(known(other)).result == "does not hold"
    frozen = Exact("f", "frozen", arm=Arm("prompt-tuning", {"length": 3, "steps": 2}), measure="changed_weights", equals=Fraction(0))
    assert judge(known(frozen)) == Verdict("holds", measured="0")


@pytest.mark.parametrize("family", ["masked_lm", "causal_lm", "encoder_decoder"])
def test_texts_of_cost_claims_have_the_stated_length(family: Any) -> None:
    sizes = Sizes(width=16, tokens=30, batch=2, family=family)
    tokens = step_cost("step_tokens", Arm("prompt-tuning", {"length": 5}), sizes)
    assert tokens == 2 * 35 + (0 if family != "encoder_decoder" else tokens - 70)
    assert _texts(sizes).words < 30
    longer = step_cost("step_flops", Arm("prompt-tuning", {"length": 40}), sizes)
    assert longer > step_cost("step_flops", Arm("prompt-tuning", {"length": 5}), sizes)


def test_saved_bytes_leave_the_backbones_weights_out() -> None:
    one = step_cost("step_saved_bytes", Arm("prompt-tuning", {"length": 5}), Sizes(width=16, tokens=30, batch=1))
    two = step_cost("step_saved_bytes", Arm("prompt-tuning", {"length": 5}), Sizes(width=16, tokens=30, batch=2))
    assert 1.9 < two / one <= 2.1, "activations alone grow with the batch"


@pytest.mark.parametrize(
    ("relation", "mean", "spread", "result"),
    [
        ("better", 0.05, 0.01, "holds"),
        ("better", -0.05, 0.01, "does not hold"),
        ("better", 0.005, 0.01, "does not hold"),
        ("better", 0.01, 0.1, "cannot show at this scale"),
        ("not_worse", 0.0, 0.01, "holds"),
        ("not_worse", -0.05, 0.01, "does not hold"),
        ("not_worse", -0.02, 0.05, "cannot show at this scale"),
        ("equivalent", 0.001, 0.01, "holds"),
        ("equivalent", 0.05, 0.01, "does not hold"),
        ("equivalent", 0.0, 0.2, "cannot show at this scale"),
    ],
)
def test_scores_decide_by_their_interval(relation: Any, mean: float, spread: float, result: str) -> None:
    noise = np.linspace(-1, 1, 12)
    differences = mean + spread * noise / noise.std(ddof=1)
    scores = pd.DataFrame({"claimed": 0.7 + differences, "against": 0.7})
    verdict = decided(dataclasses.replace(SCORES, relation=relation), scores)
    assert verdict.result == result and verdict.seeds == 12
    assert ("power 0.8" in verdict.reason) == (result == "cannot show at this scale")


def test_only_seeds_with_the_same_rows_in_both_arms_count() -> None:
    rows = [
        {"seed": s, "arm": arm, "task": t, "score": s / 10 + (arm == "claimed"), "status": "ok", "data_digest": f"{s}{t}"}
        for s in range(4)
        for arm in ("claimed", "against")
        for t in ("a", "b")
    ]
    trials = pd.DataFrame(rows)
    trials.loc[(trials["seed"] == 1) & (trials["arm"] == "claimed"), "data_digest"] = "other"
    trials.loc[(trials["seed"] == 2) & (trials["task"] == "b"), "status"] = "failed"
    found = seed_scores(trials)
    assert list(found.index) == [0, 3] and (found["claimed"] - found["against"]).tolist() == [1.0, 1.0]
    assert len(seed_scores(trials.assign(status="failed"))) == 0


def test_claims_about_scores_need_seeds_and_a_margin() -> None:
    for wrong in ({"seeds": 9}, {"margin": 0.0}, {"against": None}):
        with pytest.raises(ValueError, match="at least 10 seeds"):
            dataclasses.replace(SCORES, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no bound"):
        Cost("c", "cost", **ARMS, measure="step_flops")
    assert judge(known(SCORES)).result == "not run"


def test_values_are_shown_as_what_they_are() -> None:
    assert [shown(value) for value in (Fraction(12800, 2580), Fraction(76800), 2e-6)] == ["640/129 = 4.96", "76,800", "2e-06"]


def test_the_command_lists_judges_and_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "lopt/fewer-parameters"
    assert command([name], list_only=True, as_json=True, store=tmp_path) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["system"], listed["verdict"]) == (name, "lopt", "not run") and not (tmp_path / "claims.json").exists()
    assert command([name], store=tmp_path, page=tmp_path / "claims.md") == 0
    assert f"{name}: holds (640/129 = 4.96)" in capsys.readouterr().out
    command(["lopt"], list_only=True, as_json=True, store=tmp_path)
    verdicts = {item["name"]: item["verdict"] for item in json.loads(capsys.readouterr().out)}
    assert verdicts[name] == "holds" and verdicts["lopt/scores-like-prompt-tuning"] == "not run"
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "| fewer-parameters | exact |" in page and "| = 640/129 | 640/129 = 4.96 | holds |" in page and "## dept" in page
    with pytest.raises(InputError, match="lopt"):
        command(["lopd"], store=tmp_path)


def test_a_failed_claim_is_shown_as_failed(tmp_path: Path) -> None:
    failed = Verdict("does not hold", measured="3")
    keep(tmp_path / "claims.json", {"lopt/s": failed})
    assert kept(tmp_path / "claims.json") == {"lopt/s": failed}
    assert "**does not hold**" in markdown([(known(SCORES), failed)])
    assert claim_rows([(known(SCORES), failed)])[0].verdict == "does not hold"
    (tmp_path / "claims.json").write_text("[]")
    with pytest.raises(InputError, match="no verdicts"):
        kept(tmp_path / "claims.json")
