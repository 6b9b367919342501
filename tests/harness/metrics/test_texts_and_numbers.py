"""Text and number metrics against sacrebleu, rouge_score and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.metrics import get, names
from harness.metrics.lookup import MODULES

WORDS = ["the", "cat", "sat", "on", "a", "mat", "3.5", "isn't", "U.S.", "well-known", "naïve", "!", "“x”", "1,000", "&amp;", "end.", "1-2"]
TEXTS = ("exact_match", "squad_exact_match", "token_f1", "rouge_1", "rouge_2", "rouge_l", "bleu", "chrf")
NUMBERS = ("pearson", "mse")


def sentences(rng: np.random.Generator, number: int, longest: int = 14) -> list[str]:
    return [" ".join(rng.choice(WORDS, size=rng.integers(0, longest))) for _ in range(number)]


@pytest.mark.parametrize("seed", range(4))
def test_bleu_and_chrf_are_sacrebleu(case, seed):
    sacrebleu = pytest.importorskip("sacrebleu")
    rng = np.random.default_rng(seed)
    answers, golds = sentences(rng, 40), [[a or "x", b] for a, b in zip(sentences(rng, 40), sentences(rng, 40), strict=True)]
    one, streams = case(golds, texts=tuple(answers)), [list(column) for column in zip(*golds, strict=True)]
    assert one.value("bleu") == pytest.approx(sacrebleu.corpus_bleu(answers, streams).score / 100, abs=1e-12)
    assert one.value("chrf") == pytest.approx(sacrebleu.corpus_chrf(answers, streams).score / 100, abs=1e-12)


@pytest.mark.parametrize(("answer", "gold"), [("a b c", "a b c"), ("", "a"), ("z", "a b"), ("a b x c d", "a b c d"), ("a", "")])
def test_bleu_of_short_and_empty_texts(case, answer, gold):
    sacrebleu = pytest.importorskip("sacrebleu")
    expected = sacrebleu.corpus_bleu([answer], [[gold]]).score / 100
    assert case([gold], texts=(answer,)).value("bleu") == pytest.approx(expected, abs=1e-12)


def test_rouge_is_rouge_score(case):
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    rng = np.random.default_rng(1)
    answers, golds = sentences(rng, 60), sentences(rng, 60)
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    expected = [scorer.score(gold, answer) for gold, answer in zip(golds, answers, strict=True)]
    one = case(golds, texts=tuple(answers))
    for ours, theirs in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        assert one.statistics(ours)[:, 0] == pytest.approx([e[theirs].fmeasure for e in expected], abs=1e-12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    weights=st.lists(st.integers(0, 3), min_size=5, max_size=5).filter(any),
    name=st.sampled_from(TEXTS + NUMBERS),
)
def test_weighted_sums_equal_repeated_data(case, seed, weights, name):
    rng = np.random.default_rng(seed)
    again = np.repeat(np.arange(5), weights)
    if name in NUMBERS:
        gold, answer = rng.normal(size=5), rng.normal(size=5)
        mine = case(list(gold), values=answer).value(name, np.array(weights))
        other = case(list(gold[again]), values=answer[again]).value(name)
    else:
        answers, golds = sentences(rng, 5, 6), sentences(rng, 5, 6)
        mine = case(golds, texts=tuple(answers)).value(name, np.array(weights))
        other = case([golds[i] for i in again], texts=tuple(answers[i] for i in again)).value(name)
    assert mine == pytest.approx(other, abs=1e-9, nan_ok=True)


def test_squad_normalisation_and_several_accepted_texts(case):
    one = case([["Paris", "the city of Paris"], ["12"], [""]], texts=("The City of  Paris!", "12 ", ""))
    assert one.statistics("squad_exact_match")[:, 0].tolist() == [1, 1, 1]
    assert one.statistics("exact_match")[:, 0].tolist() == [0, 1, 1]
    assert one.statistics("token_f1")[:, 0].tolist() == [1, 1, 1]
    assert case(["new york city"], texts=("york",)).value("token_f1") == pytest.approx(0.5)


def test_correlations_are_scipys(case):
    rng = np.random.default_rng(3)
    gold, answer = rng.integers(0, 6, size=80).astype(float), rng.normal(size=80) + 1000
    one = case(list(gold), values=answer)
    assert one.value("pearson") == pytest.approx(scipy.stats.pearsonr(gold, answer).statistic, abs=1e-9)
    assert one.value("spearman") == pytest.approx(scipy.stats.spearmanr(gold, answer).statistic, abs=1e-12)
    assert one.value("mse") == pytest.approx(np.mean((gold - answer) ** 2))


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_constant_has_no_correlation(case, name):
    assert np.isnan(case([1.0, 2.0, 3.0], values=np.full(3, 0.1)).value(name))


def test_texts_are_asked_for_by_name(case):
    with pytest.raises(InputError, match="no generated texts"):
        case(["a"], scores=np.zeros((1, 2))).value("bleu")


@pytest.mark.parametrize("name", names())
def test_every_metric_broadcasts_and_is_nan_without_examples(case, name):
    answers = {"scores": np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.2]])}
    if name in TEXTS:
        answers = {"texts": ("a b", "b c", "c d e f")}
    elif name in (*NUMBERS, "spearman"):
        answers = {"values": np.array([0.5, 2.0, 3.0])}
    one = case(["a b", "c", "c d e f"] if name in TEXTS else [0, 1, 1], labels=2, **answers)
    if name in MODULES["open_set"]:
        measures = {"round": np.array([0.0, 1, 0]), "kept": np.ones(3), "confidence_change": np.zeros(3)}
        one = case([0, 0, 1], labels=2, measures=measures, **answers).with_unknown("l1")
    table, metric = one.statistics(name), get(name)
    weights = np.array([[1.0, 1, 1], [0, 0, 0]])
    both = metric.value(weights @ table)
    assert table.dtype == np.float64 and both.shape == (2,)
    assert both[0] == pytest.approx(one.value(name)) and np.isnan(both[1]) and metric.undefined


def test_the_answer_filter_is_applied_to_gold_as_to_answers(case):
    one = case(["Six and six.\n#### 12", "no mark: 7"], texts=("12", "no mark: 7"))
    one.task.answer_filter = "#### (-?[0-9]+)"
    assert one.statistics("exact_match")[:, 0].tolist() == [1, 1]
