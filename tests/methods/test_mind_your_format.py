"""Template ensembles: what they average, the inequality that always holds, the channel's prompts, and members' shared demonstrations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.methods.mind_your_format import Channel, Ensemble, MindYourFormat, combined
from scipy.special import log_softmax

from harness import catalog
from harness.backbones.backbone import Backbone
from harness.errors import InputError

from .bench import ready
from .conftest import SmallTask


def adapted(backbone: Backbone, task: SmallTask, seed: int = 0, **config: Any) -> tuple[Ensemble, Any, Any]:
    _, data, run = ready(backbone, task, seed=seed)
    predictor = MindYourFormat(**{"demonstrations": 2, **config}).adapt(backbone, data, run)
    assert isinstance(predictor, Ensemble)
    return predictor, data, run


@pytest.fixture
def causal(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]) -> tuple[Backbone, SmallTask]:
    return backbone_of("causal_lm"), small_tasks["classification"]


@pytest.mark.parametrize("ways", [("direct",), ("direct", "channel", "calibrate")])
def test_the_ensembles_log_loss_is_at_most_the_members_mean(causal: tuple[Backbone, SmallTask], ways: tuple[str, ...]) -> None:
    """Jensen: -log of a mean probability is at most the mean of -log, on every single example."""
    predictor, data, _ = adapted(*causal, templates=4, ways=ways)
    examples, gold = [row.example for row in data.test], [row.target for row in data.test]
    places = np.arange(len(gold)), gold
    whole = -log_softmax(predictor.predict(examples).scores, axis=1)[places]
    members = np.mean([-log_softmax(member.predict(examples).scores, axis=1)[places] for member in predictor.members], axis=0)
    assert len(predictor.members) == 4 * len(ways)
    assert (whole <= members + 1e-12).all() and whole.mean() < members.mean()


def test_one_format_is_in_context_learning_under_it(causal: tuple[Backbone, SmallTask]) -> None:
    from dataclasses import replace

    backbone, task = causal
    predictor, data, run = adapted(backbone, task, templates=1)
    plain = catalog.load("method", "in-context")(demonstrations=2, strategy="random", answer_score="mean")
    (name,) = run.notes["templates"]
    alone = plain.adapt(backbone, data, replace(ready(backbone, task)[2], template=name))
    examples = [row.example for row in data.test]
    np.testing.assert_allclose(predictor.predict(examples).scores, log_softmax(alone.predict(examples).scores, axis=1), atol=1e-12)


def test_members_share_demonstrations_and_runs_differ_in_formats(causal: tuple[Backbone, SmallTask]) -> None:
    predictor, data, run = adapted(*causal, templates=3)
    texts = {row.inputs["text"] for row in data.train}
    shown = [{text for text in texts if text in member.prefix} for member in predictor.members]  # type: ignore[attr-defined]
    assert shown[0] == shown[1] == shown[2] and len(shown[0]) >= 2
    _, _, other = adapted(*causal, templates=3, seed=1)
    assert len(set(run.notes["templates"])) == 3 and run.notes["templates"] != other.notes["templates"]
    assert run.notes["template_population"] == 96


def test_the_channel_scores_the_input_after_each_label(causal: tuple[Backbone, SmallTask]) -> None:
    predictor, data, _ = adapted(*causal, templates=1, ways=["channel"])
    (member,) = predictor.members
    assert isinstance(member, Channel)
    asked = member._asked({"text": "red cat"}, "yes")
    assert asked.answers == ("red cat",) and "yes" in asked.before and "red cat" not in asked.before
    example = data.test[0].example
    scores = member.predict([example]).scores
    assert scores is not None and scores.shape == (1, 2)
    by_hand = [member.scores([member._asked(example.inputs, label)])[0, 0] for label in ("no", "yes")]
    np.testing.assert_allclose(scores[0], by_hand, atol=1e-5)
    text = member.text(data.train[:1])
    assert text.index(data.task.labels[data.train[0].target]) < text.index(data.train[0].inputs["text"])


def test_combining() -> None:
    votes = np.log([[[0.9, 0.1]], [[0.4, 0.6]], [[0.45, 0.55]]])
    np.testing.assert_allclose(np.exp(combined(votes, "mean"))[0], [0.58333333, 0.41666667])
    np.testing.assert_allclose(np.exp(combined(votes, "vote"))[0], [1 / 3, 2 / 3], atol=1e-5)
    tied = np.log([[[0.9, 0.1]], [[0.4, 0.6]]])
    assert combined(tied, "vote").argmax() == 0, "a tie goes to the larger mean"
    again = np.exp(combined(votes, "softmax"))[0]
    assert again[0] > again[1] and abs(again[0] - 0.5) < abs(0.58333333 - 0.5), "a softmax of probabilities pulls them together"


def test_what_cannot_be_done_is_said_when_planning(small_tasks: dict[str, SmallTask]) -> None:
    from harness.backbones.capabilities import EXPECTED

    channel = MindYourFormat(ways=["channel"])
    assert "channel" in str(channel.unsupported(small_tasks["classification"], "masked_lm", EXPECTED["masked_lm"]))
    assert channel.unsupported(small_tasks["classification"], "causal_lm", EXPECTED["causal_lm"]) is None
    pairs = catalog.load("task", "world-entailment")()
    assert "one text" in str(MindYourFormat().unsupported(pairs, "causal_lm", EXPECTED["causal_lm"]))
    with pytest.raises(InputError, match="no way to predict"):
        MindYourFormat(ways=["noisy"])
