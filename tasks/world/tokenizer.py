"""One tokenizer for the three tiny models: every word of the world is one token, any other text falls to letters and then to bytes.

A Unigram model whose pieces are given, not learned: it is the same on every machine. Text is lower-cased; a line break is a token of its own.
"""

from __future__ import annotations

import string
from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from . import lexicon

SIZE = 2048
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
SENTINELS = tuple(f"<extra_id_{i}>" for i in range(16))
PAD, UNK, BOS, EOS, MASK = range(5)
PUNCTUATION = ".,:;?!=\"'()-+*/%$&#@[]<>|_~^"


def pieces() -> list[tuple[str, float]]:
    """The vocabulary in order, each with its log-probability: whole words win over letters, letters over bytes."""
    result = [(piece, 0.0) for piece in (*SPECIAL, *SENTINELS)]
    result += [(f"<0x{byte:02X}>", -30.0) for byte in range(256)]
    result += [("▁\n", -5.0), ("▁", -12.0)]
    result += [(mark, -10.0) for mark in PUNCTUATION] + [("▁" + mark, -11.0) for mark in PUNCTUATION]
    result += [(letter, -14.0) for letter in string.ascii_lowercase + string.digits]
    words = [*(str(number) for number in range(100)), *lexicon.vocabulary(), *string.ascii_lowercase]
    result += [("▁" + word, -8.0) for word in dict.fromkeys(words)]
    if len(result) > SIZE:
        raise ValueError(f"{len(result)} pieces do not fit into {SIZE}")
    return result


def build(kind: str) -> Tokenizer:
    """The tokenizer with what a kind of model puts around a text: masked `<s> .. </s>`, causal `<s> ..`, encoder-decoder `.. </s>`."""
    tokenizer = Tokenizer(models.Unigram(pieces(), unk_id=UNK, byte_fallback=True))
    tokenizer.add_special_tokens([*SPECIAL, *SENTINELS])
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex("[ \\t\\r]*\\n[ \\t\\r]*"), "\n"),
            normalizers.Replace(Regex("[ \\t\\r]+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", behavior="isolated"), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁\n", "\n"),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(Regex("\n▁"), "\n"),
            decoders.Replace("▁", " "),
            decoders.Strip(" ", 1, 0),
        ]
    )
    around = {"masked": "<s> $A </s>", "causal": "<s> $A", "encoder-decoder": "$A </s>"}[kind]
    pair = {"masked": "<s> $A </s> $B:1 </s>:1", "causal": "<s> $A $B:1", "encoder-decoder": "$A </s> $B:1 </s>:1"}[kind]
    tokenizer.post_processor = processors.TemplateProcessing(single=around, pair=pair, special_tokens=[("<s>", BOS), ("</s>", EOS)])
    return tokenizer


class Encoder:
    """Text -> ids of the tokenizer, without special tokens, by a cache of words: some ten times faster for text of the world."""

    def __init__(self) -> None:
        self._tokenizer = build("causal")
        self._words: dict[str, list[int]] = {"\n": self._tokenizer.encode("\n", add_special_tokens=False).ids}
        self._glued: dict[str, list[int]] = {}

    def __call__(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in text.replace("\n", " \n ").split(" "):
            if word:
                known = self._words.get(word)
                ids += known if known is not None else self._learn(word)
        return ids

    def _learn(self, word: str) -> list[int]:
        return self._words.setdefault(word, self._tokenizer.encode(word, add_special_tokens=False).ids)

    def glued(self, text: str) -> list[int]:
        """Ids of text that follows a word without a space, such as the full stop after an answer."""
        head, _, rest = text.partition(" ")
        if "\n" in head:
            head, _, tail = text.partition("\n")
            rest = "\n" + tail
        if head not in self._glued:
            self._glued[head] = self._tokenizer.encode("the" + head, add_special_tokens=False).ids[1:]
        return self._glued[head] + self(rest)


@cache
def encoder() -> Encoder:
    return Encoder()
