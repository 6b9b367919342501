"""Forks, embeddings, parts, capabilities and small helpers."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.backbones.architectures import architecture_of
from harness.backbones.backbone import Backbone
from harness.backbones.capabilities import EXPECTED
from harness.backbones.describe import WITHOUT_BIASES
from harness.backbones.probe import _PROBES, confirmed_capabilities, tiny_like
from harness.errors import UnsupportedError

Get = Callable[[str], Backbone]


def snapshot(backbone: Backbone) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in backbone.model.state_dict().items()}


def unchanged(backbone: Backbone, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in backbone.model.state_dict().items())


def test_everything_is_frozen_and_in_evaluation_mode(any_backbone: Backbone) -> None:
    assert not any(parameter.requires_grad for parameter in any_backbone.model.parameters())
    assert not any(module.training for module in any_backbone.model.modules())


def test_a_fork_shares_memory_but_not_modules(any_backbone: Backbone) -> None:
    fork = any_backbone.fork()
    pairs = list(zip(fork.model.named_parameters(), any_backbone.model.named_parameters()))
    assert all(ours is theirs for (_, ours), (_, theirs) in pairs)
    assert not set(map(id, fork.model.modules())) & set(map(id, any_backbone.model.modules()))
    assert torch.equal(fork.features(["the film"]), any_backbone.features(["the film"]))
    assert torch.equal(fork.hidden_states(["the film"])[0], any_backbone.hidden_states(["the film"])[0])


def test_replacing_a_module_in_a_fork_leaves_the_original(any_backbone: Backbone) -> None:
    before, expected = snapshot(any_backbone), any_backbone.features(["the film"])
    fork = any_backbone.fork()
    layer, path = fork.layer_modules()[0], any_backbone.architecture.output
    layer.set_submodule(path, torch.nn.Sequential(layer.get_submodule(path), torch.nn.Tanh()))
    assert not torch.equal(fork.features(["the film"]), expected)
    assert torch.equal(any_backbone.features(["the film"]), expected)
    assert unchanged(any_backbone, before)


def test_training_a_copy_leaves_the_original_bitwise(any_backbone: Backbone) -> None:
    before = snapshot(any_backbone)
    fork = any_backbone.fork(copy_weights=True)
    assert fork.parameter_count() == any_backbone.parameter_count(), "tied weights stay tied"
    fork.model.requires_grad_(True)
    optimiser = torch.optim.SGD(fork.model.parameters(), lr=0.1)
    features = fork.features(["the film", "yes"])
    (features * torch.randn_like(features)).sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert unchanged(any_backbone, before)
    assert not unchanged(fork, before)
    assert not any(parameter.requires_grad for parameter in any_backbone.model.parameters())


def test_only_some_weights_can_be_copied(backbone_of: Get) -> None:
    backbone = backbone_of("bert")
    fork = backbone.fork(copy_weights=lambda name: name.endswith("bias"))
    for (name, ours), (_, theirs) in zip(fork.model.named_parameters(), backbone.model.named_parameters()):
        assert (ours is theirs) == (not name.endswith("bias"))


def test_a_fork_works_under_peft(any_backbone: Backbone) -> None:
    import peft

    before = snapshot(any_backbone)
    fork = any_backbone.fork()
    target = any_backbone.architecture.query.split(".")[-1]
    fork.model = peft.get_peft_model(fork.model, peft.LoraConfig(r=2, target_modules=[target], fan_in_fan_out=target == "c_attn"))  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(fork.features(["the film"]), any_backbone.features(["the film"]))
    features = fork.features(["the film"])
    (features * torch.randn_like(features)).sum().backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None for n, p in fork.model.named_parameters() if "lora" in n)
    assert unchanged(any_backbone, before)


def test_capabilities_are_those_of_the_family(any_backbone: Backbone) -> None:
    without = {"biases"} if any_backbone.core.config.model_type in WITHOUT_BIASES else set()
    assert any_backbone.capabilities == EXPECTED[any_backbone.family] - without
    assert confirmed_capabilities(any_backbone) == any_backbone.capabilities


def test_a_capability_that_fails_is_not_confirmed(backbone_of: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.backbones import probe

    backbone = backbone_of("gpt2")
    monkeypatch.setattr(probe, "_known", {})
    monkeypatch.setitem(_PROBES, "generation", lambda tiny: 1 / 0 > 0)
    assert confirmed_capabilities(backbone) == EXPECTED["causal_lm"] - {"generation"}


def test_an_injection_without_effect_is_not_confirmed(backbone_of: Get) -> None:
    tiny = tiny_like(backbone_of("bert"))
    tiny.model.set_attn_implementation("eager")  # type: ignore[operator]
    assert not probe_works("prefix_injection", tiny)
    assert probe_works("prompt_injection", tiny)


def probe_works(name: str, tiny: Backbone) -> bool:
    from harness.backbones.probe import _works

    return _works(_PROBES[name], tiny)


def test_unknown_architectures_are_named() -> None:
    import transformers

    with pytest.raises(UnsupportedError, match="'bart'"):
        architecture_of(transformers.BartConfig())


def test_sampled_words_are_rows_of_words(any_backbone: Backbone) -> None:
    rows = any_backbone.sample_word_embeddings(6, np.random.default_rng(0))
    assert rows.shape == (6, any_backbone.width) and not rows.requires_grad
    assert torch.equal(rows, any_backbone.sample_word_embeddings(6, np.random.default_rng(0)))
    table = any_backbone.core.get_input_embeddings().weight
    for row in rows:
        (places,) = (table == row).all(dim=1).nonzero(as_tuple=True)
        token = any_backbone.tokenizer.convert_ids_to_tokens(int(places[0]))
        assert re.fullmatch(r"[Ġ▁]?[A-Za-z]{2,}", token), token
    rows += 1
    assert not torch.equal(rows, any_backbone.sample_word_embeddings(6, np.random.default_rng(0)))


def test_word_embeddings_are_copies_of_the_tables_rows(any_backbone: Backbone) -> None:
    one, two = any_backbone.word_embeddings(["good", " very good film"])
    ids = torch.tensor(any_backbone.encoding.pieces(" very good film"))
    assert one.shape[1] == any_backbone.width
    assert torch.equal(two, any_backbone.core.get_input_embeddings().weight[ids])


def test_parameter_count_counts_tied_weights_once(backbone_of: Get) -> None:
    for name in ("bert", "llama", "t5", "t5-gated"):
        backbone = backbone_of(name)
        tensors = {parameter.data_ptr(): parameter.numel() for parameter in backbone.model.parameters()}
        assert backbone.parameter_count() == sum(tensors.values())


def test_chat_uses_the_template_where_there_is_one(backbone_of: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = backbone_of("llama")
    assert backbone.chat("hello") == "hello"
    template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}{% if add_generation_prompt %} [assistant]{% endif %}"
    monkeypatch.setattr(backbone.tokenizer, "chat_template", template, raising=False)
    text = backbone.chat("hello")
    assert text == "<s>[user] hello [assistant]"
    ids = backbone.encoding.text(text, 90, keep="end").ids
    assert ids.count(backbone.tokenizer.bos_token_id) == 1, "the template's begin token stays the only one"


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(1, 16), st.integers(1, 512))
def test_batches_hold_every_item_once_within_bounds(lengths: list[int], rows: int, tokens: int) -> None:
    found = Backbone.batches(None, lengths, rows=rows, tokens=tokens)  # type: ignore[arg-type]
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) <= rows
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= tokens
    assert [lengths[i] for batch in found for i in batch] == sorted(lengths)


def test_every_pass_is_metered(backbone_of: Get) -> None:
    class Recorder:
        truncated_examples = truncated_tokens = 0

        def __init__(self) -> None:
            self.seen: list[tuple[str, int, int, int | None]] = []

        def forward(self, kind: str, batch: int, length: int, tokens: int | None = None) -> None:
            self.seen.append((kind, batch, length, tokens))

    backbone = backbone_of("gpt2")
    recorder = backbone.meter = Recorder()
    backbone.features(["the film was bad", "yes"])
    long, short = len(backbone.encoding.pieces("the film was bad")), len(backbone.encoding.pieces("yes"))
    assert recorder.seen == [("causal_lm", 2, long, long + short)]
