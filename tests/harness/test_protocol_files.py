"""Named protocols: frozen suite fields with their sources."""

from __future__ import annotations

import pytest

from harness import protocol_files
from harness.errors import InputError
from harness.suite import Suite
from harness.task import Shots

GRID = {"question": "?", "backbones": ["b"], "methods": ["m"], "tasks": ["t"]}


def test_lm_bff_is_as_published():
    frozen = protocol_files.get("lm-bff")
    assert frozen["shots"] == [16] and frozen["dev"] == 16 and frozen["seeds"]["numbers"] == [13, 21, 42, 87, 100]
    frozen["seeds"]["numbers"].append(1)
    assert len(protocol_files.get("lm-bff")["seeds"]["numbers"]) == 5


@pytest.mark.parametrize("name", protocol_files.names())
def test_every_protocol_is_a_valid_suite_and_says_where_it_comes_from(name):
    entry = protocol_files.describe(name)
    assert "arXiv:" in entry.source and entry.summary
    suite = Suite.model_validate({"suite": "s", **GRID, **protocol_files.get(name), "protocol": name})
    assert all(Shots.parse(shots, "shots") for shots in suite.shots) and Shots.parse(suite.dev, "dev")


def test_overriding_names_the_protocol_and_an_unknown_one_its_neighbour():
    assert protocol_files.laid_over("setfit", {"question": "?"})["dev"] == 0
    with pytest.raises(InputError, match="dev: 8 overrides protocol lm-bff; it freezes dev to 16"):
        protocol_files.laid_over("lm-bff", {"dev": 8})
    with pytest.raises(InputError, match="did you mean lm-bff"):
        protocol_files.get("lmbff")
