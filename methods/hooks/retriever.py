"""The retriever: a sentence that almost says what a sentence of the knowledge says, and not quite, is replaced by it."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache

from .calculator import NUMBER
from .hook import Context, Hook


class Retriever(Hook):
    """Triggers by how much the last sentence shares with the nearest evidence: F1 over words and pairs of neighbouring words,
    each weighted by log(N / df), df of N sentences of the knowledge having it (N for one that none has).

    Pairs keep "anna leo" apart from "leo anna"; weights make who is spoken of count for more than what is said of many. Numbers do not
    count: how many is what a sentence may have wrong, and a number is so rare that it would lead to whoever has as many. They decide
    between evidence that is equal otherwise. What the knowledge says itself needs nothing.
    """

    name = "retriever"
    needs = ("knowledge",)

    def __init__(self, knowledge: Sequence[str]) -> None:
        self.knowledge = list(knowledge)
        self.counts = [grams(sentence) for sentence in self.knowledge]
        self.numbers = [numbers(sentence) for sentence in self.knowledge]
        self.frequency = Counter(gram for counts in self.counts for gram in counts)
        self.nearest = cache(self._nearest)  # asked once by the trigger and once by the program
        self.places: defaultdict[str, list[int]] = defaultdict(list)
        for place, counts in enumerate(self.counts):
            for gram in counts:
                if " " in gram:  # every candidate shares at least one pair of words
                    self.places[gram].append(place)

    def _nearest(self, sentence: str) -> tuple[float, str | None]:
        """The best evidence's share, and the evidence; of equals the one with more of the sentence's numbers, then the first."""
        asked, said = grams(sentence), numbers(sentence)
        candidates = {place for gram in asked for place in self.places.get(gram, ())}
        scored = ((self.shared(asked, self.counts[place]), (said & self.numbers[place]).total(), -place) for place in candidates)
        best, _, place = max(scored, default=(0.0, 0, 1))
        return best, self.knowledge[-place] if place <= 0 else None

    def shared(self, one: Counter[str], other: Counter[str]) -> float:
        """Weighted F1 of two sentences; 0 where nothing in either weighs anything."""
        weight = 2 * self.weight(one & other)
        total = self.weight(one) + self.weight(other)
        return weight / total if total > 0 else 0.0

    def weight(self, counts: Counter[str]) -> float:
        return sum(number * math.log(len(self.knowledge) / (self.frequency[gram] or 1)) for gram, number in counts.items())

    def advantage(self, context: Context) -> float:
        share, evidence = self.nearest(context.last)
        return 0.0 if evidence is None or evidence == context.last else share

    def run(self, context: Context) -> Context:
        _, evidence = self.nearest(context.last)
        return context if evidence is None or evidence == context.last else context.with_last(evidence)


def words_of(sentence: str) -> list[str]:
    return sentence.lower().rstrip(".!?").split()


def grams(sentence: str) -> Counter[str]:
    """Words and pairs of neighbouring words, numbers left out."""
    words = [word for word in words_of(sentence) if not re.fullmatch(NUMBER, word)]
    return Counter([*words, *(" ".join(pair) for pair in itertools.pairwise(words))])


def numbers(sentence: str) -> Counter[str]:
    return Counter(word for word in words_of(sentence) if re.fullmatch(NUMBER, word))
