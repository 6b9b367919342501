"""Primer's parts do what the paper says, and its product is a backbone like any other, although its rows may not branch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from harness.methods.pretraining import save
from harness.methods.primer import Primer

from harness.backbones.backbone import Backbone
from harness.backbones.injection import Injection
from harness.backbones.load import load
from harness.backbones.parts import CausalConvolution, ProductNorm, SharedQueryKey
from harness.templates import Rendered

SMALL = {"width": 16, "layers": 2, "heads": 2, "steps": 4, "rows": 2, "length": 16, "evaluate_every": 2}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A random Primer with large weights, so that every part shows."""
    folder = tmp_path_factory.mktemp("primer") / "model"
    model = Primer(**SMALL, norm="product").model(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save(model, "causal", folder)
    found: Backbone = load({"folder": str(folder)})
    return found


def test_parts_do_what_the_paper_says() -> None:
    """y[t] = w0 x[t] + w1 x[t-1] + w2 x[t-2] per channel; causal; max(0, x)^2; and 9 numbers a channel of attention."""
    model = Primer(**SMALL).model(0).eval()
    attention = model.transformer.h[0].attn
    convolution = attention.c_attn.convolution
    assert isinstance(convolution, CausalConvolution)
    x = torch.randn(1, 5, 16)
    plain = x @ attention.c_attn.weight + attention.c_attn.bias
    weight = torch.randn_like(convolution.weight)
    with torch.no_grad():
        convolution.weight.copy_(weight)
        found = attention.c_attn(x)
    shifted = [torch.nn.functional.pad(plain, (0, 0, lag, 0))[:, :5] for lag in range(3)]
    expected = sum(weight[:, 0, 2 - lag] * shifted[lag] for lag in range(3))
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(model.transformer.h[0].mlp.act(torch.tensor([-2.0, 3.0])), torch.tensor([0.0, 9.0]))
    fresh = Primer(**SMALL).model(1).transformer.h[1].attn.c_attn.convolution.weight
    assert torch.allclose(fresh[0, 0], torch.tensor([1 / 6, 1 / 6, 1 / 2]))


def test_causal(backbone: Backbone) -> None:
    ids = torch.tensor([[5, 9, 200, 31, 7, 12]])
    changed = ids.clone()
    changed[0, 3] = 40
    with torch.no_grad():
        one, other = (backbone.model(input_ids=i, use_cache=False).logits[0] for i in (ids, changed))
    assert torch.equal(one[:3], other[:3]) and not torch.allclose(one[3:], other[3:])


FULL = {"shared_query_key": True, "norm": "product", "feed_forward_norm": "after"}


@pytest.mark.parametrize(
    "given",
    [{}, {"activation": "relu", "convolution": 1}, {"convolution": 4, "norm": "product", "layers": 3}, FULL, {**FULL, "convolution": 1}],
)
def test_the_formula_counts_the_model(given: dict) -> None:
    recipe = Primer(**{**SMALL, **given})
    assert recipe.parameters() == recipe.model(0).num_parameters()


def test_shared_queries_are_a_matrix_times_the_convolved_keys() -> None:
    """K = conv(x W), Q = A K, V = conv(x W'): two convolutions, 6 numbers a channel, and no bias on Q."""
    attention = Primer(**SMALL, shared_query_key=True).model(0).transformer.h[0].attn
    shared = attention.c_attn
    assert isinstance(shared, SharedQueryKey) and shared.query.bias is None
    convolution = shared.projection.convolution
    assert isinstance(convolution, CausalConvolution) and convolution.weight.numel() == 2 * 3 * 16
    with torch.no_grad():
        convolution.weight.copy_(torch.randn_like(convolution.weight))
        x = torch.randn(1, 5, 16)
        queries, keys, values = attention.c_attn(x).split(16, dim=-1)
        plain = x @ shared.projection.weight.T + shared.projection.bias
        shifted = [torch.nn.functional.pad(plain, (0, 0, lag, 0))[:, :5] for lag in range(3)]
        expected = sum(convolution.weight[:, 0, 2 - lag] * shifted[lag] for lag in range(3))
    assert torch.allclose(torch.cat([keys, values], dim=-1), expected, atol=1e-6)
    assert torch.allclose(queries, keys @ shared.query.weight.T, atol=1e-6)


def test_the_full_primer_norms_attention_before_and_the_feed_forward_branch_at_its_end() -> None:
    block = Primer(**SMALL, **FULL).model(0).eval().transformer.h[0]
    norm = block.ln_2.norm
    assert isinstance(norm, ProductNorm)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(16))
        x = torch.randn(2, 5, 16)
        middle = x + block.attn(block.ln_1(x))[0]
        inner = block.mlp.c_proj(block.mlp.act(block.mlp.c_fc(middle)))  # of what is not normed
        found = block(x)
    found = found[0] if isinstance(found, tuple) else found
    assert torch.allclose(found, middle + norm(inner), atol=1e-6)


def test_the_full_primer_is_a_backbone(tmp_path: Path) -> None:
    """Causal, saved and loaded with its parts, a fork of its own, and nothing that would tune a query projection."""
    model = Primer(**SMALL, **FULL).model(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save(model, "causal", tmp_path)
    loaded = load({"folder": str(tmp_path)})
    ids = torch.tensor([[5, 9, 200, 31, 7, 12]])
    changed = ids.clone()
    changed[0, 3] = 40
    with torch.no_grad():
        one, other = (loaded.model(input_ids=i, use_cache=False).logits[0] for i in (ids, changed))
        assert torch.allclose(one, model.eval()(input_ids=ids, use_cache=False).logits[0], atol=0.05)  # stored in half precision
    assert torch.equal(one[:3], other[:3]) and not torch.allclose(one[3:], other[3:])
    fork, before = loaded.fork(copy_weights=True), loaded.features(["the cat"])
    with torch.no_grad():
        fork.model.transformer.h[0].ln_2.norm.weight.zero_()
        fork.model.transformer.h[0].attn.c_attn.query.weight.zero_()
    assert torch.equal(loaded.features(["the cat"]), before) and not torch.allclose(fork.features(["the cat"]), before)
    assert "layer_tuning" not in loaded.capabilities and {"label_scores", "generation", "weight_tuning"} <= loaded.capabilities


def test_the_product_norm_is_layer_norm_but_for_large_means() -> None:
    ours, theirs = ProductNorm(64).double(), torch.nn.LayerNorm(64).double()
    x = torch.randn(8, 64, dtype=torch.float64) * 3 + 2
    assert (ours(x) - theirs(x)).abs().max() < 1e-12
    large = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)) + 1000
    exact = theirs.float()(large.double().float())
    assert (ProductNorm(64)(large) - exact).abs().max() > 1e-3  # what the paper's formula loses in single precision


def test_saved_and_loaded_with_its_parts(backbone: Backbone) -> None:
    assert isinstance(backbone.model.transformer.h[1].attn.c_attn.convolution, CausalConvolution)
    assert isinstance(backbone.model.transformer.h[0].ln_1, ProductNorm) and isinstance(backbone.model.transformer.ln_f, ProductNorm)
    assert backbone.model.config.architectures == ["GPT2LMHeadModel"] and backbone.contiguous
    assert {"label_scores", "generation", "prompt_injection", "prefix_injection", "layer_tuning"} <= backbone.capabilities


def test_a_fork_has_convolutions_of_its_own(backbone: Backbone) -> None:
    fork = backbone.fork(copy_weights=True)
    before = backbone.features(["the cat"])
    with torch.no_grad():
        fork.model.transformer.h[0].attn.c_attn.convolution.weight.zero_()
    assert torch.equal(backbone.features(["the cat"]), before) and not torch.allclose(fork.features(["the cat"]), before)


def test_answers_that_share_a_text_are_scored_as_if_alone(backbone: Backbone) -> None:
    """Rows of such a model do not branch: a second answer's first token must not see the first answer's last."""
    answers = ("good bad", "bad good", "small")
    together = backbone.label_scores([Rendered("the cat was", " ", "", answers)])[0]
    alone = torch.stack([backbone.label_scores([Rendered("the cat was", " ", "", (answer,))])[0, 0] for answer in answers])
    assert torch.allclose(together, alone, atol=1e-5)


def test_generation_without_a_cache_is_what_the_model_says(backbone: Backbone) -> None:
    """Greedy tokens of texts of two lengths, with and without an injected prompt, against argmax over whole rows."""
    texts = ["the cat", "a small dog was"]
    for injection in (None, Injection(prompt=torch.randn(2, 16, generator=torch.Generator().manual_seed(3)))):
        found = backbone.generate(texts, max_new_tokens=3, injection=injection)
        for text, generated in zip(texts, found):
            ids = list(backbone.encoding.text(text, 64, keep="end").ids)
            for _ in range(generated.tokens):
                embedded = backbone.embed(torch.tensor([ids]))
                if injection is not None and injection.prompt is not None:
                    embedded = torch.cat([injection.prompt[None], embedded], dim=1)
                ids.append(int(backbone.model(inputs_embeds=embedded, use_cache=False).logits[0, -1].argmax()))
            new = backbone.tokenizer.decode(ids[-generated.tokens :], skip_special_tokens=True)
            assert generated.text == new


def test_shared_text_is_scored_the_plain_way(backbone: Backbone) -> None:
    from harness.backbones.scoring import shared_prefix_scores

    items = [Rendered("red", " ", "", ("good", "bad")), Rendered("blue house", " ", "", ("good", "bad"))]
    whole = [Rendered("it was big . " + item.before, " ", "", item.answers) for item in items]
    assert np.allclose(shared_prefix_scores(backbone, "it was big . ", items), backbone.label_scores(whole).detach(), atol=1e-5)


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    from harness.errors import UnsupportedError

    model = Primer(**SMALL).model(0)
    model.config.harness_parts = {"convolution": 3, "router": 2}
    save(model, "causal", tmp_path)
    with pytest.raises(UnsupportedError, match="names the part router: 2"):
        load({"folder": str(tmp_path)})


def test_pretrained_in_a_plan_with_a_curve_and_costs(suite_file, run, tmp_path: Path) -> None:
    from harness.artifact_store import folders, read
    from harness.store import Store

    vanilla = {"activation": "relu", "convolution": 1}
    specs = [{"recipe": "primer", "config": SMALL}, {"recipe": "primer", "config": {**SMALL, **vanilla}, "label": "vanilla"}]
    session = run(suite_file(backbones=specs, arms=["backbone"], methods=["zero-shot"], tasks=["word-parity"], seeds=1))
    assert {done.status for done in session.outcomes.values()} == {"ok"}, session.outcomes
    stored = [read(folder) for folder in folders(Store(tmp_path / "store"))]
    for item in stored:
        assert item is not None and list(item.curve()["step"]) == [2, 4] and item.curve()["dev_score"].notna().all()
        assert item.result["costs"]["tokens"] == 4 * 2 * 16 and item.result["costs"]["flops"] == item.curve()["flops"].iloc[-1]
    flops = {item.artifact.config["convolution"]: item.result["costs"]["flops"] for item in stored if item is not None}
    assert flops[3] > flops[1]
