"""Injected prompts and prefixes must do what real tokens in front do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AttentionInterface

from harness.backbones import forward
from harness.backbones.attention import ATTENTION, attention
from harness.backbones.backbone import Backbone
from harness.backbones.injection import Injection
from harness.errors import InputError
from harness.templates import Rendered

from .conftest import CAUSAL

Get = Callable[[str], Backbone]
FRONT, BACK = "a very long day", "the film was good and bad"


def captured_keys_and_values(backbone: Backbone, ids: list[int]) -> Tensor:
    """[L, 2, T, H, D] keys and values that every layer's attention really used for these tokens."""
    found: list[Tensor] = []

    def capturing(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **kwargs: Any) -> Any:
        found.append(torch.stack([key[0], value[0]]).transpose(1, 2))
        return attention(module, query, key, value, mask, **kwargs)

    AttentionInterface.register(ATTENTION, capturing)
    try:
        with torch.no_grad():
            forward.run(backbone, [ids])
    finally:
        AttentionInterface.register(ATTENTION, attention)
    return torch.stack(found)


def test_a_prefix_equals_the_tokens_it_came_from(any_backbone: Backbone) -> None:
    """Keys and values of the front of a text, put back as a prefix, give the rest of the text the states it had."""
    front, back = list(any_backbone.encoding.pieces(FRONT)), list(any_backbone.encoding.pieces(BACK))
    prefix = captured_keys_and_values(any_backbone, front + back)[:, :, : len(front)]
    with torch.no_grad():
        whole = forward.run(any_backbone, [front + back], every_layer=True)
        rest = forward.run(any_backbone, [back], injection=Injection(prefix=prefix), every_layer=True)
        plain = forward.run(any_backbone, [back])
    assert whole.layers is not None and rest.layers is not None
    for ours, theirs in zip(rest.layers, whole.layers):
        torch.testing.assert_close(ours, theirs[:, len(front) :], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(rest.last, plain.last, atol=1e-3)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_prefix_from_the_tokens_alone_serves_a_causal_model(backbone_of: Get, name: str) -> None:
    backbone = backbone_of(name)
    front, back = list(backbone.encoding.pieces(FRONT)), list(backbone.encoding.pieces(BACK))
    prefix = captured_keys_and_values(backbone, front)
    with torch.no_grad():
        whole = forward.run(backbone, [front + back]).last[:, len(front) :]
        torch.testing.assert_close(forward.run(backbone, [back], injection=Injection(prefix=prefix)).last, whole, rtol=1e-4, atol=1e-5)


def test_a_prompt_of_word_embeddings_equals_the_words(any_backbone: Backbone) -> None:
    """In front of everything, or behind the first special token where there is one."""
    back = list(any_backbone.encoding.wrapped(any_backbone.encoding.pieces(BACK), 64, keep="start").ids)
    front = list(any_backbone.encoding.pieces(FRONT))
    (words,) = any_backbone.word_embeddings([FRONT])
    with torch.no_grad():
        for position, at in (("start", any_backbone.prompt_place), ("front", 0)):
            whole = forward.run(any_backbone, [back[:at] + front + back[at:]])
            ours = forward.run(any_backbone, [back], injection=Injection(prompt=words, position=position))  # type: ignore[arg-type]
            torch.testing.assert_close(ours.last, whole.last, rtol=1e-4, atol=1e-5)


def test_prompted_scores_equal_scores_of_the_longer_text(any_backbone: Backbone) -> None:
    if any_backbone.family == "encoder":
        pytest.skip("an encoder scores no answers")
    if any_backbone.encoding.front and any_backbone.family == "causal_lm":
        pytest.skip("a prompt stands before the first special token, words behind it")
    item = Rendered(" " + BACK, " ", ".", ("yes", "not at all"))
    longer = Rendered(FRONT + " " + BACK, " ", ".", ("yes", "not at all"))
    (words,) = any_backbone.word_embeddings([FRONT])
    with torch.no_grad():
        ours = any_backbone.label_scores([item], injection=Injection(prompt=words))
        torch.testing.assert_close(ours, any_backbone.label_scores([longer]), rtol=1e-4, atol=1e-4)


def test_injections_hold_in_uneven_batches_and_per_item(any_backbone: Backbone) -> None:
    texts = ["yes", "the film was bad", "it was a very long day in the small town"]
    torch.manual_seed(3)
    prompts = torch.randn(3, 2, any_backbone.width)
    prefixes = torch.randn(3, any_backbone.layers, 2, 4, any_backbone.key_value_heads, any_backbone.head_width)
    with torch.no_grad():
        for together in (Injection(prompt=prompts), Injection(prefix=prefixes), Injection(prompts, prefixes)):
            features = any_backbone.features(texts, injection=together)
            for number, text in enumerate(texts):
                alone = together.take([number])
                torch.testing.assert_close(any_backbone.features([text], injection=alone)[0], features[number], rtol=1e-4, atol=1e-5)
        shared = any_backbone.features(texts, injection=Injection(prompts[0], prefixes[0]))
        torch.testing.assert_close(shared[0], any_backbone.features(texts, injection=Injection(prompts, prefixes))[0], rtol=1e-4, atol=1e-5)


def test_injections_reach_generated_text(backbone_of: Get) -> None:
    """Greedy text behind a prefix made of a text's tokens is the text behind the tokens themselves."""
    backbone = backbone_of("llama")
    front = [*backbone.encoding.front, *backbone.encoding.pieces(FRONT)]
    prefix = captured_keys_and_values(backbone, front)
    texts = [" " + BACK, " yes"]
    with torch.no_grad():
        whole = backbone.generate([FRONT + text for text in texts], max_new_tokens=12)
        backbone.encoding.front, kept = (), backbone.encoding.front
        try:
            ours = backbone.generate(texts, max_new_tokens=12, injection=Injection(prefix=prefix))
        finally:
            backbone.encoding.front = kept
    assert [item.text for item in ours] == [item.text for item in whole]


def test_a_prefix_has_gradients_and_leaves_no_trace(any_backbone: Backbone) -> None:
    before = any_backbone.features([BACK])
    shape = (any_backbone.layers, 2, 3, any_backbone.key_value_heads, any_backbone.head_width)
    prefix = torch.randn(shape, requires_grad=True)
    features = any_backbone.features([BACK, "yes"], injection=Injection(prefix=prefix))
    (features * torch.randn_like(features)).sum().backward()  # type: ignore[no-untyped-call]
    assert prefix.grad is not None
    assert bool((prefix.grad.abs().sum(dim=(1, 2, 3, 4)) > 0).all()), "every layer's vectors take part"
    assert torch.equal(any_backbone.features([BACK]), before)


def test_the_prompt_is_not_text(backbone_of: Get) -> None:
    for name, places in (("bert", [1, 2]), ("gpt2", [0, 1])):
        backbone = backbone_of(name)
        layers, mask = backbone.hidden_states([BACK], injection=Injection(prompt=torch.randn(2, backbone.width)))
        assert layers.shape[2] == mask.shape[1]
        assert (~mask[0]).nonzero().flatten().tolist() == places


def test_injected_vectors_take_room(backbone_of: Get) -> None:
    backbone = backbone_of("gpt2")
    both = Injection(torch.randn(5, backbone.width), torch.randn(3, 2, 7, 4, 8))
    assert backbone.limit(both) == backbone.max_length - 12
    backbone.features(["the film was good and " * 120], injection=both)


def test_shapes_that_do_not_fit(backbone_of: Get) -> None:
    backbone = backbone_of("bert")
    with pytest.raises(InputError, match="prompt of shape"):
        Injection(prompt=torch.randn(3))
    with pytest.raises(InputError, match="prefix of shape"):
        Injection(prefix=torch.randn(3, 3, 2, 4, 8))
    with pytest.raises(InputError, match=r"takes \[3, 2, 5, 4, 8\]"):
        backbone.features(["yes"], injection=Injection(prefix=torch.randn(2, 2, 5, 4, 8)))
    with pytest.raises(InputError, match="prompt of shape"):
        backbone.features(["yes"], injection=Injection(prompt=torch.randn(4, 31)))


def test_an_embedding_update_does_what_other_words_do(any_backbone: Backbone) -> None:
    """Adding the difference of two texts' embeddings to the first gives the states of the second, padded rows and prompts included."""
    backbone = any_backbone
    one, other = list(backbone.encoding.pieces(BACK)), list(backbone.encoding.pieces("the town was bad and good"))
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    update = (backbone.embed(torch.tensor(other)) - backbone.embed(torch.tensor(one))).detach()
    prompt = torch.randn(3, backbone.width)
    with torch.no_grad():
        for side in ("right", "left") if backbone.family == "causal_lm" else ("right",):
            for given in (None, prompt):
                ours = forward.run(backbone, [one, one[:2]], injection=Injection(given, embedding_update=update), side=side)  # type: ignore[arg-type]
                wanted = forward.run(backbone, [other, other[:2]], injection=Injection(given), side=side)  # type: ignore[arg-type]
                torch.testing.assert_close(ours.last[ours.seen], wanted.last[wanted.seen], rtol=1e-4, atol=1e-5)
        each = torch.stack([update, torch.zeros_like(update)])
        ours = forward.run(backbone, [one, one], injection=Injection(embedding_update=each))
        torch.testing.assert_close(ours.last, forward.run(backbone, [other, one]).last, rtol=1e-4, atol=1e-5)
        short = forward.run(backbone, [one], injection=Injection(embedding_update=update[:1]))
        torch.testing.assert_close(short.last, forward.run(backbone, [[other[0], *one[1:]]]).last, rtol=1e-4, atol=1e-5)


def test_an_embedding_update_reaches_generated_tokens_at_their_own_positions(backbone_of: Get) -> None:
    """Token by token, with a cache, is as all at once."""
    backbone = backbone_of("llama")
    torch.manual_seed(5)
    injection = Injection(torch.randn(2, backbone.width), embedding_update=torch.randn(64, backbone.width))
    (written,) = backbone.generate([" " + BACK], max_new_tokens=4, injection=injection)
    rows = [list(backbone.encoding.text(" " + BACK, 64, keep="end").ids)]
    for _ in range(written.tokens):
        with torch.no_grad():
            states = forward.run(backbone, rows, injection=injection)
            rows[0].append(int(forward.project(backbone, states.last[:, -1]).argmax()))
    ids = rows[0][-written.tokens :]
    assert backbone.tokenizer.decode([i for i in ids if i not in backbone.end_tokens], skip_special_tokens=True) == written.text


def test_deep_vectors_are_added_to_the_prompts_states_alone(any_backbone: Backbone) -> None:
    backbone = any_backbone
    prompt = torch.randn(2, backbone.width)
    deep = torch.zeros(backbone.layers, 2, backbone.width)
    deep[-1] = torch.randn(2, backbone.width)
    with torch.no_grad():
        plain, _ = backbone.hidden_states([BACK], injection=Injection(prompt))
        ours, _ = backbone.hidden_states([BACK], injection=Injection(prompt, deep=deep))
        again, _ = backbone.hidden_states([BACK], injection=Injection(prompt))
    assert torch.equal(ours[: backbone.layers - 1], plain[: backbone.layers - 1]), "earlier layers are untouched"
    assert not torch.equal(ours[-1], plain[-1]), "the text sees the changed vectors"
    assert torch.equal(again, plain), "no hook stays"
    in_embeddings = torch.zeros_like(deep)
    in_embeddings[0] = deep[-1]
    if backbone.family == "causal_lm" and backbone.architecture.positions == "rotary":  # nothing stands between embeddings and layers
        with torch.no_grad():
            early = backbone.features([BACK], injection=Injection(prompt, deep=in_embeddings))
            torch.testing.assert_close(early, backbone.features([BACK], injection=Injection(prompt + deep[-1])), rtol=1e-4, atol=1e-5)


def test_new_parts_of_wrong_shape_are_refused(backbone_of: Get) -> None:
    backbone = backbone_of("bert")
    with pytest.raises(InputError, match="deep"):
        Injection(deep=torch.randn(2, 3, backbone.width))
    with pytest.raises(InputError, match="layers"):
        backbone.features(
            [BACK], injection=Injection(torch.randn(3, backbone.width), deep=torch.randn(backbone.layers + 1, 3, backbone.width))
        )
    with pytest.raises(InputError, match="embedding update"):
        backbone.features([BACK], injection=Injection(embedding_update=torch.randn(4, backbone.width + 1)))
