"""Registering: an entry on the class, names that are slugs, and no silent overwrite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import registry
from harness.errors import InputError
from harness.registry import Entry, method, metric, registered, task


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    yield


def test_a_decorated_class_carries_its_entry_and_is_found() -> None:
    @method("test-mine", paper="arXiv:1", needs=("features",), tags=("text",), emits=("loss",))
    class Mine:
        entry: Entry

    assert Mine.entry == Entry("method", "test-mine", "arXiv:1", ("features",), ("text",), ("loss",))
    assert registered("method", "test-mine") is Mine
    assert registered("task", "test-mine") is None, "kinds do not share names"


@pytest.mark.parametrize("name", ["Mine", "mine idea", "-mine", "mine-", "a--b", "", "a/b", "../a", "é", "a\n"])
def test_names_that_could_not_stand_in_a_path_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no slug"):
        task(name)


@pytest.mark.parametrize("name", ["a", "lora", "p-tuning", "f1_macro", "gpt2-0.1", "4x"])
def test_slugs_are_taken(name: str) -> None:
    assert callable(metric(name))


def test_a_second_class_under_one_name_is_an_error_that_names_both() -> None:
    class First: ...

    class Second: ...

    method("test-twice")(First)
    method("test-twice")(First)  # the same one again, as when a notebook cell is run again
    with pytest.raises(InputError, match=r"'test-twice' is registered twice: .*First and .*Second"):
        method("test-twice")(Second)
    assert registered("method", "test-twice") is First
