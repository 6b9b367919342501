"""Wrappers: their settings and space, what they need of the inner method, their place in suites and identities, events and their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import api, catalog
from harness.errors import InputError
from harness.hooks import Events, Hooks
from harness.suite import default_label, load_suite
from harness.wrapper import inner_method


def made(name: str, **config: Any) -> Any:
    return catalog.load("wrapper", name)(**config)


def test_the_effective_configuration_holds_the_inner_one() -> None:
    config = made("deft", alpha=2, over={"lora": {"rank": 3}}).config
    assert config["alpha"] == 2.0 and config["over"]["lora"]["rank"] == 3 and config["over"]["lora"]["batch_size"] == 8
    assert made("deft", over="lora").config == made("deft", over={"lora": {}}).config == made("deft", over={"lora": None}).config
    again = made("deft", **config).config
    assert again == config


def test_the_space_is_the_product_without_what_is_set() -> None:
    whole = made("deft", over="lora").open_space({"over": "lora"})
    assert {"alpha", "epsilon", "over.lora.rank", "over.lora.learning_rate"} <= set(whole) and "over" not in whole
    part = made("deft", alpha=1, over={"lora": {"rank": 2}}).open_space({"alpha": 1, "over": {"lora": {"rank": 2}}})
    assert set(whole) - set(part) == {"alpha", "over.lora.rank"}


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (None, "runs over another"),
        ("lorra", "lorra"),
        (["lora"], "is no method"),
        ({"lora": {}, "bitfit": {}}, "is no method"),
        ({"lora": {"rnak": 2}}, "rnak"),
        ({"lora": {"rank": 0}}, "out of range"),
        ({"lora": 8}, "are no settings"),
    ],
)
def test_a_wrong_inner_method_is_one_clear_error(over: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        inner_method(over)
    assert str(caught.value.key).startswith("over")


def test_labels_name_what_is_wrapped() -> None:
    assert default_label("lora", {}) == "lora" and default_label("deft", {"over": "lora"}) == "deft over lora"
    assert default_label("deft", {"over": {"deft": {"over": {"lora": {"rank": 2}}}}}) == "deft over deft over lora"


def test_a_suite_plans_wrappers_beside_what_they_wrap(suite_file: Callable[..., Path]) -> None:
    methods = [
        "lora",
        {"name": "deft", "config": {"alpha": 1, "over": {"lora": {"rank": 8}}}},
        {"name": "deft", "config": {"alpha": 1}, "grid": {"over": ["bbtv2", "bitfit"]}},
        {"name": "deft", "label": "ranks", "config": {"over": "lora"}, "grid": {"over.lora.rank": [1, 2]}},
    ]
    cells = api.plan(suite_file(methods=methods, seeds=1), device="cpu").cells
    by_arm = {cell.arm: cell for cell in cells}
    ranks = {"ranks over.lora.rank=1", "ranks over.lora.rank=2"}
    assert set(by_arm) == {"lora", "deft over lora", "deft over bbtv2", "deft over bitfit", *ranks}
    assert by_arm["deft over bbtv2"].unsupported == "deft needs to be told of start, batch, loss, which bbtv2 does not emit"
    assert not by_arm["deft over bbtv2"].run_key and by_arm["deft over bitfit"].unsupported is None
    assert by_arm["deft over lora"].trial.template == by_arm["lora"].trial.template
    assert by_arm["ranks over.lora.rank=2"].trial.config["over"]["lora"]["rank"] == 2


def test_its_run_key_covers_the_inner_methods_source(suite_file: Callable[..., Path]) -> None:
    suite = suite_file(methods=[{"name": "deft", "config": {"over": "lora"}}, {"name": "deft", "config": {"over": "bitfit"}}], seeds=1)
    plan = api.plan(suite, device="cpu")
    one, other = (plan.depends[cell.run_key]["method_source"] for cell in plan.cells)
    assert len(one) == len(other) == 2 and one[0] == other[0] and one[1] != other[1]


def test_tries_are_drawn_inside_too(suite_file: Callable[..., Path]) -> None:
    spec = {"name": "deft", "config": {"alpha": 1, "over": {"lora": {"alpha": 4}}}, "tune": 6}
    (cell,) = api.plan(suite_file(methods=[spec], dev=2, seeds=1), device="cpu").cells
    configs = [trial.config for trial, _ in cell.tries]
    assert configs[0] == cell.trial.config and len({config["over"]["lora"]["rank"] for config in configs}) > 1
    assert {config["alpha"] for config in configs} == {1.0} and {config["over"]["lora"]["alpha"] for config in configs} == {4.0}


@pytest.mark.parametrize(
    ("spec", "words"),
    [({"name": "deft"}, "deft is a wrapper"), ({"name": "lora", "config": {"over": "bitfit"}}, "lora is a method")],
)
def test_a_wrapper_without_over_and_a_method_with_it_are_refused(suite_file: Callable[..., Path], spec: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_suite(suite_file(methods=[spec]))


def test_a_wrapper_runs_as_a_trial_and_a_neutral_one_answers_the_same(suite_file: Callable[..., Path], run: Any, tmp_path: Path) -> None:
    methods = [
        {"name": "lora", "config": {"rank": 2}},
        {"name": "deft", "label": "neutral", "config": {"alpha": 0, "over": {"lora": {"rank": 2}}}},
        {"name": "deft", "label": "twice", "config": {"alpha": 0, "over": {"deft": {"alpha": 0, "over": {"lora": {"rank": 2}}}}}},
        {"name": "deft", "label": "strong", "config": {"alpha": 50, "epsilon": 1.0, "over": {"lora": {"rank": 2}}}},
        {"name": "shifted", "config": {"over": {"lora": {"rank": 2}}}},
    ]
    session = run(suite_file(methods=methods, seeds=1))
    assert [done.status for done in session.outcomes.values()] == ["ok"] * 5, [done.reason for done in session.outcomes.values()]
    results = api.load_results(tmp_path / "store")
    trials = results.trials.set_index("arm")
    assert set(trials["trainable_parameters"]) == {trials.loc["lora", "trainable_parameters"]}
    values = {arm: results.records(trial_id)["prediction"].tolist() for arm, trial_id in trials["trial_id"].items()}
    assert values["lora"] == values["neutral"] == values["twice"]
    assert set(values["shifted over lora"]) == {catalog.load("task", "word-parity")().labels[-1]}


class Noted(Events):
    def __init__(self, name: str, seen: list[str]) -> None:
        self.name, self.seen = name, seen

    def batch(self, rows: list[Any]) -> list[Any]:
        self.seen.append(f"batch {self.name}")
        return [*rows, self.name]

    def loss(self, loss: Any, rows: Sequence[Any]) -> Any:
        self.seen.append(f"loss {self.name}")
        return loss + 1

    def epoch(self, number: int) -> None:
        self.seen.append(f"epoch {self.name} {number}")


def test_batches_go_inwards_and_losses_outwards() -> None:
    seen: list[str] = []
    hooks, outer = Hooks(), Noted("outer", seen)
    hooks.add(outer)
    hooks.add(Noted("inner", seen))
    assert hooks.batch([]) == ["outer", "inner"] and hooks.loss(1, []) == 3
    hooks.epoch(4)
    assert seen == ["batch outer", "batch inner", "loss inner", "loss outer", "epoch inner 4", "epoch outer 4"]
    hooks.remove(outer)
    assert hooks.batch([]) == ["inner"]


def test_a_predict_wrapper_keeps_its_own_state_beside_the_inner_ones(suite_file: Callable[..., Path], run: Any, tmp_path: Path) -> None:
    from harness.execute import restored
    from harness.store import Store

    run(
        suite_file(
            methods=[{"name": "shifted", "config": {"by": 3, "over": {"shifted": {"by": -1, "over": {"lora": {"rank": 2}}}}}}], seeds=1
        )
    )
    (trial,) = api.load_results(tmp_path / "store").trials.itertuples()
    stored = Store(tmp_path / "store").get(trial.trial_id, trial.run_key)
    assert stored is not None
    with restored(stored) as predictor:
        from harness.execute import data_of, task_of
        from harness.seeds import Streams

        data = data_of(stored.trial, task_of(stored.trial), Streams(stored.trial.seeds))
        scores = predictor.predict([row.example for row in data.test]).scores
    assert scores is not None and np.array_equal(scores, np.stack(stored.records()["scores"].to_list()))


def test_events_in_decorators_are_checked() -> None:
    from harness.registry import method, wrapper

    with pytest.raises(InputError, match="is no event"):
        wrapper("test-odd", events=("losses",))
    with pytest.raises(InputError, match="is no event"):
        method("test-odd", emits=("before",))


def test_training_emits_what_gradient_methods_declare(suite_file: Callable[..., Path], run: Any, tmp_path: Path) -> None:
    run(suite_file(methods=[{"name": "told", "config": {"over": {"bitfit": {"batch_size": 4}}}}], seeds=1, shots=4, budget={"epochs": 2}))
    (notes,) = (_notes(tmp_path / "store"),)
    assert notes["told"] == [
        "start",
        "epoch 0",
        "batch 4",
        "loss",
        "batch 4",
        "loss",
        "epoch 1",
        "batch 4",
        "loss",
        "batch 4",
        "loss",
        "end",
    ]


def _notes(store: Path) -> Mapping[str, Any]:
    from harness.store import Store

    (trial,) = api.load_results(store).trials.itertuples()
    stored = Store(store).get(trial.trial_id, trial.run_key)
    assert stored is not None
    notes: Mapping[str, Any] = stored.result["facts"]["notes"]
    return notes
