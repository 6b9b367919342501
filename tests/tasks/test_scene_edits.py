"""Edits of what a diffusion model assumes: the rule that judges colours, what is asked, and how answers become numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from harness.tasks.scenes.edits import COLOURS, USUAL, SceneEdits, colour_of
from harness.tasks.scenes.render import render
from harness.tasks.scenes.scene import SHAPES, SceneSampler

from harness.metrics import score
from harness.task import Example


def test_the_colour_rule_is_right_on_true_pictures() -> None:
    """The judge's own accuracy on pictures as the shipped model was shown them: 98% when this was written, and never below 95%."""
    from harness.methods.tiny_diffusion import centred

    sampler, right = SceneSampler(np.random.default_rng(3)), []
    for _ in range(400):
        thing = sampler.object(colours=COLOURS, textures=("paper",), sizes=("big", "huge"))
        right.append(colour_of(render(sampler.of(centred(thing, sampler)), size=16)) == thing.colour)
    assert np.mean(right) >= 0.95


def test_every_edit_asks_for_another_colour_than_the_usual_one() -> None:
    rows = SceneEdits(colours=6).test()
    assert len(rows) == 60 and len({row.id for row in rows}) == 60
    for row in rows:
        shape = str(row.inputs["source"]).split()[-1]
        assert row.target != USUAL[shape] and row.target in COLOURS and row.cluster == shape
        assert all(text.split()[-1] == shape for text in row.inputs["positives"])
        assert all(colour != row.target for _, colour in row.inputs["negatives"]), "a negative must be able to tell that it was changed"


class Painter:
    """Draws every text in one colour, or as if nothing had been edited."""

    def __init__(self, colour: str | None) -> None:
        self.colour, self.shown = colour, SceneSampler(np.random.default_rng(0))

    def edit(self, example: Example) -> None:
        self.request = example.inputs

    def draw(self, texts: Sequence[str], numbers: Sequence[int], *, steps: int, guidance: float) -> np.ndarray:
        from harness.methods.tiny_diffusion import centred

        pictures = []
        for text in texts:
            shape = text.split()[-1]
            named = next((colour for colour in COLOURS if colour in text.split()), USUAL[shape])
            thing = self.shown.object(shapes=("box",), colours=(self.colour or named,), textures=("paper",), sizes=("huge",))
            pictures.append(render(self.shown.of(centred(thing, self.shown)), size=16))
        return np.stack(pictures)


def test_a_model_that_was_not_edited_is_specific_and_not_effective() -> None:
    task = SceneEdits(noise_seeds=1)
    answers = task.ask(Painter(None), task.test())
    assert score("efficacy", answers, task.test(), task) == 0.0 and score("generality", answers, task.test(), task) == 0.0
    assert (score("specificity", answers, task.test(), task) or 0) > 0.95


def test_a_model_that_draws_everything_in_the_new_colour_is_not_specific() -> None:
    task = SceneEdits(noise_seeds=1)
    rows = [row for row in task.test() if row.target == task.test()[0].target]
    answers = task.ask(Painter(str(rows[0].target)), rows)
    assert (score("efficacy", answers, rows, task) or 0) > 0.9 and score("specificity", answers, rows, task) == 0.0


def test_shapes_have_a_usual_colour_each() -> None:
    assert set(USUAL) == set(SHAPES) and set(USUAL.values()) <= set(COLOURS)
