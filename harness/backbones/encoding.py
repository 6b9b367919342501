"""Text to token ids as a family of models takes it: special tokens, truncation, pairs, and the ids of answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.backbones.capabilities import Family
from harness.errors import InputError
from harness.templates import Rendered

KEPT_TOKENS = 1_000_000  # of tokenised texts that are kept, some 40 MB: an evaluation asks for the same texts again


@dataclass(frozen=True)
class Encoded:
    """ids of one text with its special tokens, segment ids where the model has segments, and how many tokens were cut."""

    ids: list[int]
    types: list[int]
    cut: int = 0


class Encoding:
    """A tokenizer with what a model family puts around a text. `pieces` are ids without special tokens, kept by content."""

    def __init__(self, tokenizer: Any, family: Family) -> None:
        self.tokenizer, self.family = tokenizer, family
        self._pieces: dict[str, tuple[int, ...]] = {}
        self._kept = 0
        probe = tuple(self._encode(["a"])[0])
        whole = list(tokenizer("a", verbose=False)["input_ids"])
        start = next((i for i in range(len(whole) - len(probe) + 1) if tuple(whole[i : i + len(probe)]) == probe), 0)
        self.front = tuple(whole[:start])
        self.back = tuple(whole[start + len(probe) :]) if family != "causal_lm" else ()
        self.between, self.second_type = self._pair_pattern(probe)

    def _pair_pattern(self, probe: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """What stands between the texts of a pair, and the segment id of the second."""
        both = self.tokenizer("a", "a", return_token_type_ids=True, verbose=False)
        ids, size = list(both["input_ids"]), len(probe)
        start = len(self.front) + size
        second = next((i for i in range(start, len(ids) - size + 1) if tuple(ids[i : i + size]) == probe), start)
        types = both.get("token_type_ids")
        return tuple(ids[start:second]), int(types[second]) if types is not None and second < len(types) else 0

    def _encode(self, texts: list[str]) -> list[list[int]]:
        found: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        return found

    def learn(self, texts: Iterable[str]) -> None:
        """Tokenise the texts that are not known yet, all at once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._pieces]
        if not new:
            return
        found = [tuple(ids) for ids in self._encode(new)]
        if self._kept > KEPT_TOKENS:
            self._pieces.clear()
            self._kept = 0
        self._pieces.update(zip(new, found))
        self._kept += sum(map(len, found))

    def pieces(self, text: str) -> tuple[int, ...]:
        """Ids of `text` without special tokens."""
        self.learn((text,))
        return self._pieces[text]

    def text(self, text: str, limit: int, *, keep: Literal["start", "end"]) -> Encoded:
        """One text with special tokens, at most `limit` ids; what is too long loses its end, or its start with keep="end"."""
        return self.wrapped(self.pieces(text), limit, keep=keep)

    def wrapped(self, pieces: Sequence[int], limit: int, *, keep: Literal["start", "end"]) -> Encoded:
        front = () if self.front and tuple(pieces[: len(self.front)]) == self.front else self.front  # a chat template writes its own
        room = max(0, limit - len(front) - len(self.back))
        cut = max(0, len(pieces) - room)
        if cut:
            pieces = pieces[:room] if keep == "start" else pieces[cut:]
        ids = [*front, *pieces, *self.back]
        if not ids:
            ids = [self.beginning]
        return Encoded(ids, [0] * len(ids), cut)

    def pair(self, first: str, second: str, limit: int) -> Encoded:
        """Two texts as the tokenizer pairs them; the longer one is cut first."""
        if self.family == "causal_lm":
            return self.text(f"{first}\n{second}", limit, keep="end")
        one, two = list(self.pieces(first)), list(self.pieces(second))
        room = limit - len(self.front) - len(self.between) - len(self.back)
        cut = max(0, len(one) + len(two) - room)
        if cut:
            keep_one = max(min(len(one), room // 2), room - len(two))
            one, two = one[:keep_one], two[: room - keep_one]
        head = [*self.front, *one, *self.between]
        tail = [*two, *self.back]
        return Encoded(head + tail, [0] * len(head) + [self.second_type] * len(tail), cut)

    @property
    def beginning(self) -> int:
        """The id that stands where a causal model has no text before: its begin token, else its end token."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.cls_token_id, self.tokenizer.pad_token_id):
            if token is not None:
                return int(token)
        return 0

    @property
    def padding(self) -> int:
        """The id put where attention does not look."""
        token = self.tokenizer.pad_token_id
        return int(token) if token is not None else 0

    def answer(self, item: Rendered, answer: str) -> tuple[int, ...]:
        """Ids of an answer in its place: encode(before + gap + answer) behind the length of encode(before), as lm-evaluation-harness does."""
        if self.family == "encoder_decoder":
            ids = self.pieces(answer.strip())
        else:
            ids = self.pieces(f"{item.before}{item.gap}{answer}")[len(self.pieces(item.before)) :]
        if not ids:
            raise InputError(f"the answer {answer!r} has no token of its own after {item.before[-40:]!r}", key="answers")
        return ids

    def learn_answers(self, rendered: Sequence[Rendered], answers: Sequence[Sequence[str]]) -> None:
        """Tokenise all that `answer` will ask for."""
        if self.family == "encoder_decoder":
            self.learn(answer.strip() for options in answers for answer in options)
            return
        self.learn(item.before for item in rendered)
        self.learn(f"{item.before}{item.gap}{answer}" for item, options in zip(rendered, answers) for answer in options)

    def masked(self, item: Rendered, masks: int, limit: int) -> tuple[Encoded, int]:
        """The text with `masks` mask tokens at the answer, and where they start. Cut: the start of `before`, then the end of `after`."""
        token, identifier = self.tokenizer.mask_token, self.tokenizer.mask_token_id
        filled = self.pieces(item.filled(token * masks))
        places = [place for place, piece in enumerate(filled) if piece == identifier]
        if len(places) == masks and places[-1] - places[0] == masks - 1:
            before, after = filled[: places[0]], filled[places[-1] + 1 :]
        else:  # the text itself holds the mask token: its parts are tokenised without special tokens
            plain = self.tokenizer([item.before, item.after], add_special_tokens=False, split_special_tokens=True, verbose=False)[
                "input_ids"
            ]
            before, after = tuple(plain[0]), tuple(plain[1])
        room = limit - len(self.front) - len(self.back) - masks
        cut = max(0, len(before) + len(after) - room)
        if cut:
            after = after[: max(0, room)]
            before = before[len(before) - max(0, room - len(after)) :]
        ids = [*self.front, *before, *[identifier] * masks, *after, *self.back]
        return Encoded(ids, [0] * len(ids), cut), len(self.front) + len(before)
