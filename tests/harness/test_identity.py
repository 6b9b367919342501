"""Digests: equal for equal content, different for any other."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from harness.errors import InputError
from harness.identity import LENGTH, canonical, digest, digest_file, digest_rows, digest_source, digest_tensors
from harness.task import Row


def test_canonical_text() -> None:
    assert canonical({"b": [1.0, (2,)], "a": {"é": None}}) == '{"a":{"é":null},"b":[1,[2]]}'
    assert canonical({1: True}) == '{"1":true}'
    assert canonical(1e300) == "1e+300" and canonical(0.1) == "0.1" and canonical(-0.0) == "0"


@pytest.mark.parametrize("value", [math.nan, math.inf, {"rate": [-math.inf]}])
def test_values_that_are_no_numbers_are_bad_input(value: Any) -> None:
    with pytest.raises(InputError, match="no values of a configuration"):
        canonical(value)


def test_digests_have_one_length() -> None:
    assert len(digest({})) == LENGTH == 32 and digest({}).isalnum()


ROW = Row("r", {"text": "a"}, 1, "c")


@pytest.mark.parametrize(
    "other", [Row("s", {"text": "a"}, 1, "c"), Row("r", {"text": "b"}, 1, "c"), Row("r", {"text": "a"}, 0, "c"), Row("r", {"text": "a"}, 1)]
)
def test_every_part_of_a_row_and_their_order_count(other: Row) -> None:
    assert digest_rows([ROW]) != digest_rows([other])
    assert digest_rows([ROW, other]) != digest_rows([other, ROW]) != digest_rows([other])
    assert digest_rows([ROW]) == digest_rows((ROW,))


def test_every_part_of_tensors_counts_but_their_order() -> None:
    a, b = torch.arange(4.0), torch.zeros(2, 2)
    base = digest_tensors({"a": a, "b": b})
    assert base == digest_tensors({"b": b, "a": a.clone()})
    others = [{"a": a, "c": b}, {"a": a.double(), "b": b}, {"a": a.reshape(2, 2), "b": b}, {"a": a + 1e-6, "b": b}, {"a": a}]
    assert base not in {digest_tensors(other) for other in others}
    assert digest_tensors({"a": torch.zeros(0)}) != digest_tensors({})
    assert digest_tensors({"a": torch.ones(3, dtype=torch.bfloat16)}) == digest_tensors({"a": torch.ones(6, dtype=torch.bfloat16)[::2]})


def test_files_by_content(tmp_path: Any) -> None:
    for name, data in (("a", b"x" * 3_000_000), ("b", b"x" * 3_000_000), ("c", b"x" * 2_999_999 + b"y")):
        (tmp_path / name).write_bytes(data)
    assert digest_file(tmp_path / "a") == digest_file(tmp_path / "b") != digest_file(tmp_path / "c")


def test_the_source_of_a_method_is_its_own_its_bases_and_its_neighbours() -> None:
    from harness import catalog, identity

    knn, probe = (catalog.load("method", name) for name in ("knn", "linear-probe"))
    assert digest_source(knn) == digest_source(knn) != digest_source(probe)
    files = {
        file.name
        for file in identity._with_neighbours(identity.Path(identity.__file__).parents[1] / "methods" / "knn.py", "harness.methods")
    }
    assert {"knn.py", "linear_probe.py"} <= files  # its features come from there


def test_the_engine_counts_by_its_bases_alone() -> None:
    """Else every edit of a progress bar would run a leaderboard again; NUMERICS says when the engine's answers change."""
    from harness import identity

    engine = identity.Path(identity.__file__).parent / "method.py"
    assert identity._with_neighbours(engine, "harness") == {engine}
