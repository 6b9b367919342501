"""The world itself: words, meanings, the three languages, plain text, episodes, and the tokenizer they are written for."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from harness.tasks.world import documents, episodes, lexicon, render, tokenizer
from harness.tasks.world.meaning import Event, Sampler, State, Thing, negate
from harness.tasks.world.pretraining import causal_batch, encode, episodes_and_text
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**31)


def sampler(seed: int) -> Sampler:
    return Sampler(np.random.default_rng(seed))


def text(document: episodes.Document) -> str:
    return "".join(("" if segment.glued else " ") + segment.text for segment in document).strip(" ")


def test_no_word_has_two_meanings_across_languages():
    first, second = (set(lexicon.dictionary(language).values()) for language in (1, 2))
    english = set(lexicon.english_words())
    assert len(first) == len(second) == len(lexicon.concepts())
    assert not first & second and not (first | second) & english


def test_dictionaries_are_fixed():
    assert [lexicon.dictionary(language)["soup"] for language in (0, 1, 2)] == [
        "soup",
        lexicon.dictionary(1)["soup"],
        lexicon.dictionary(2)["soup"],
    ]
    lexicon.dictionary.cache_clear()
    before = dict(lexicon.dictionary(1))
    lexicon.dictionary.cache_clear()
    assert lexicon.dictionary(1) == before


def test_every_word_of_the_world_is_one_token():
    built = tokenizer.build("causal")
    assert all(len(built.encode(word, add_special_tokens=False).ids) == 1 for word in (*lexicon.vocabulary(), *map(str, range(100))))


def test_the_vocabulary_fits():
    pieces = [piece for piece, _ in tokenizer.pieces()]
    assert len(pieces) == len(set(pieces)) <= tokenizer.SIZE


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_encodes_without_unknowns(sample: str):
    ids = tokenizer.build("masked").encode(sample).ids
    assert tokenizer.UNK not in ids[1:-1] and ids[0] == tokenizer.BOS and ids[-1] == tokenizer.EOS


def test_decoding_gives_the_text_back():
    built = tokenizer.build("causal")
    for sample in ("the soup was superb, but it was not good.\nreview: 12 plums", "a wörld of 日本, said anna", "one\n\ntwo"):
        assert built.decode(built.encode(sample).ids) == sample


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_the_quick_encoder_equals_the_tokenizer(seed: int):
    drawn, built = sampler(seed), tokenizer.build("causal")
    sample = documents.document(drawn) + "\n" + text(episodes.episode(drawn, items=4))
    assert tokenizer.encoder()(sample) == built.encode(sample, add_special_tokens=False).ids


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_segments_encode_as_their_text_does(seed: int):
    drawn = sampler(seed)
    episode = episodes.episode(drawn, items=5)
    assert encode(episode, drawn, labelled=True).ids == tokenizer.build("causal").encode(text(episode), add_special_tokens=False).ids


def back_to_keys(sentence: str, language: int) -> Counter[str]:
    table = {word: key for key, word in lexicon.dictionary(language).items()}
    if language == 0:
        table |= {lexicon.plural(noun): noun for noun in lexicon.OTHER_CLUSTERS["thing"]}
    return Counter(table.get(word, word) for word in re.findall(r"[\w]+", sentence))


@given(SEEDS)
@settings(max_examples=80, deadline=None)
def test_three_languages_say_the_same_in_their_own_order(seed: int):
    clause = documents.any_clause(sampler(seed))
    said = [render.say(clause, language) for language in lexicon.LANGUAGES]
    assert len(set(said)) == 3
    content = [
        Counter({key: number for key, number in back_to_keys(sentence, language).items() if key in CONTENT})
        for language, sentence in enumerate(said)
    ]
    assert content[0] == content[1] == content[2]


CONTENT = {word for name, words in lexicon.CLUSTERS.items() for word in words} | set(map(str, range(100))) | {"very", "really", "slightly"}


def test_word_orders_differ():
    event = Event("ate", "anna", Thing("soup", ("red",)), "kitchen")
    assert render.say(event) == "anna ate the red soup in the kitchen"
    assert render.keys(event, 1) == ["anna", "kitchen", "in", "soup", "red", "ate"]
    assert render.keys(event, 2) == ["ate", "anna", "red", "soup", "in", "kitchen"]
    assert render.say(event, passive=True) == "the red soup was eaten by anna in the kitchen"
    assert render.say(negate(event)) == "anna never ate the red soup in the kitchen"


@pytest.mark.parametrize(
    "state, value",
    [
        (State(Thing("soup"), "superb"), 2), (State(Thing("soup"), "nice"), 1), (State(Thing("soup"), "nice", "very"), 2), (State(Thing("soup"), "superb", "slightly"), 1),
        (State(Thing("soup"), "superb", negated=True), -1), (State(Thing("soup"), "dull", "very", negated=True), 1), (State(Thing("soup"), "ordinary"), 0),
    ],
)  # fmt: skip
def test_opinions_have_a_strength(state: State, value: int):
    assert state.value == value


@given(SEEDS, st.integers(-2, 2))
@settings(max_examples=200, deadline=None)
def test_a_drawn_opinion_has_the_strength_asked_for(seed: int, value: int):
    assert sampler(seed).opinion(value, Thing("soup"), negation=0.5).value == value


def test_text_is_a_function_of_the_seed():
    assert [documents.document(sampler(3)) for _ in range(2)] == [documents.document(sampler(3))] * 2
    assert text(episodes.episode(sampler(5))) == text(episodes.episode(sampler(5)))
    first, again, other = (causal_batch(episodes_and_text(0.3), 0, step, rows=4, length=64) for step in (7, 7, 8))
    assert (
        np.array_equal(first.ids, again.ids) and np.array_equal(first.targets, again.targets) and not np.array_equal(first.ids, other.ids)
    )


def test_episode_labels_can_be_read_from_demonstrations_alone():
    """Each class has one label word and every item of a repeated text has the same answer."""
    drawn = sampler(11)
    for _ in range(50):
        document = episodes.episode(drawn, partitions=((episodes.repeats, 1.0),))
        answers: dict[str, set[str]] = {}
        for item, answer in itertools.pairwise(document):
            if answer.answer:
                answers.setdefault(item.text, set()).add(answer.text)
        assert all(len(words) == 1 for words in answers.values())


def test_an_answer_counts_only_once_it_can_be_known():
    drawn = sampler(2)
    document = [
        episodes.Segment("dog :"),
        episodes.Segment("foo", answer=True),
        episodes.Segment("dog :"),
        episodes.Segment("foo", answer=True),
    ]
    weights = encode(document, drawn, labelled=True).weights
    assert weights[2] == 0.0 and weights[-1] == 1.0


def test_a_batch_predicts_the_next_token():
    batch = causal_batch(episodes_and_text(0.3), 0, 0, rows=4, length=64)
    rows, places = np.divmod(batch.positions, 64)
    inside = places < 63
    assert np.array_equal(batch.ids[rows[inside], places[inside] + 1], batch.targets[inside])
