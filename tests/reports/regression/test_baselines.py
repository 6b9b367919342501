"""Blessed baselines: self-contained, digest-checked, replaced whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from harness.reports.regression.baselines import bless_results, load_baseline
from harness.reports.regression.compare import compare
from harness.reports.regression.machine import to_json
from harness.reports.regression.sides import baseline_file, load_side

from harness.errors import InputError


@pytest.fixture(name="clean")
def clean_fixture(run_suite, fail):
    return fail(run_suite(1, records=True), "bitfit", "rte", [2])


def test_a_baseline_compares_like_the_results_it_was_made_from(run_suite, clean, tmp_path):
    current = run_suite(2, shift=-0.5, records=True)
    bless_results(clean, "main", tmp_path, commit="abc", source="store")
    blessed, manifest = load_baseline(tmp_path / "baselines" / "main.json")
    assert manifest["commit"] == "abc" and manifest["cells"] == 4 and manifest["trials"] == 20
    for exact in (False, True):
        assert to_json(compare(blessed, current, exact=exact)) == to_json(compare(clean, current, exact=exact))


def test_it_needs_nothing_but_its_own_files(clean, tmp_path):
    bless_results(clean, "main", tmp_path / "store")
    shutil.move(tmp_path / "store" / "baselines", tmp_path / "elsewhere")
    assert compare(load_side(str(tmp_path / "elsewhere" / "main.json")), clean).exit_code == 0


def test_the_digest_is_of_the_content(run_suite, tmp_path):
    first = bless_results(run_suite(1), "a", tmp_path)
    again, other = bless_results(run_suite(1), "b", tmp_path), bless_results(run_suite(2), "c", tmp_path)
    assert first["digest"] == again["digest"] != other["digest"]


def test_blessing_again_replaces_the_files(run_suite, tmp_path):
    first = bless_results(run_suite(1), "main", tmp_path)
    second = bless_results(run_suite(2), "main", tmp_path)
    assert second["replaces"] == first["digest"]
    files = sorted(path.name for path in (tmp_path / "baselines").iterdir())
    assert files == sorted(["main.json", *second["files"]])


@pytest.mark.parametrize("part", ["trials", "scores", "examples", "predictions"])
def test_changed_and_missing_files_are_refused(run_suite, tmp_path, part):
    bless_results(run_suite(1), "main", tmp_path)
    [file] = (tmp_path / "baselines").glob(f"*.{part}.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="was changed after it was blessed; bless the baseline again"):
        load_side("@main", store=tmp_path)
    file.unlink()
    with pytest.raises(InputError, match="is missing"):
        load_side("@main", store=tmp_path)


def test_damaged_and_newer_manifests_are_refused(run_suite, tmp_path):
    bless_results(run_suite(1), "main", tmp_path)
    file = tmp_path / "baselines" / "main.json"
    manifest = json.loads(file.read_text())
    for change, words in (({"format": 99}, "newer than this version reads"), ({"digest": None}, None)):
        file.write_text(json.dumps({**manifest, **change}))
        if words:
            with pytest.raises(InputError, match=words):
                load_side("@main", store=tmp_path)
    for text in ("", "{", "[]", '{"format": 1}'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"baseline|damaged"):
            load_side("@main", store=tmp_path)


def test_a_baseline_file_may_not_point_out_of_its_folder(run_suite, tmp_path):
    bless_results(run_suite(1), "main", tmp_path)
    file = tmp_path / "baselines" / "main.json"
    manifest = json.loads(file.read_text())
    manifest["files"] = {f"../../{name}": value for name, value in manifest["files"].items()}
    file.write_text(json.dumps(manifest))
    assert load_side("@main", store=tmp_path).trials.shape[0] == 20  # read from beside the manifest, wherever the names point


@pytest.mark.parametrize("name", ["../x", "Main", "a b", "", ".hidden"])
def test_names_are_slugs(run_suite, tmp_path, name):
    with pytest.raises(InputError, match="is no slug"):
        bless_results(run_suite(1), name, tmp_path)


def test_nothing_to_hold_others_to(run_suite, fail, tmp_path):
    failed = run_suite(1, arms=("lora",), tasks=("rte",))
    with pytest.raises(InputError, match="no run succeeded"):
        bless_results(fail(failed, "lora", "rte", range(5)), "main", tmp_path)


def test_names_that_do_not_exist_get_the_nearest(run_suite, tmp_path):
    bless_results(run_suite(1), "main", tmp_path)
    with pytest.raises(InputError, match="did you mean @main"):
        load_side("@mian", store=tmp_path)


def test_exported_folders_are_sides(run_suite, export, tmp_path):
    folder = export(run_suite(1, records=True), tmp_path / "export")
    found = compare(load_side(str(folder)), run_suite(1, records=True), exact=True)
    assert found.exit_code == 0 and {cell.test.generalise_over for cell in found.cells if cell.test} == {"seeds+examples"}


def test_one_suite_can_be_chosen(run_suite, tmp_path):
    bless_results(run_suite(1), "main", tmp_path)
    assert len(load_side("@main", store=tmp_path, suite="guard").trials) == 20
    with pytest.raises(InputError, match="no results of suite 'gard'; it has guard"):
        load_side("@main", store=tmp_path, suite="gard")


def test_last_and_best_are_chosen_among_the_blessed(run_suite, tmp_path, monkeypatch):
    for name, shift, day in (("old", 0.0, 1), ("good", 1.0, 2), ("new", -1.0, 3)):
        bless_results(run_suite(1, shift=shift), name, tmp_path)
        file = tmp_path / "baselines" / f"{name}.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"blessed": f"2026-01-0{day}T00:00:00+00:00"}))
    assert baseline_file("last", tmp_path).stem == "new" and baseline_file("best", tmp_path).stem == "good"
    assert load_side("@best", store=tmp_path).trials["score"].mean() > load_side("@last", store=tmp_path).trials["score"].mean()
    turned = run_suite(1, shift=2.0, change=lambda row: row.update(higher_is_better=False))
    bless_results(turned, "turned", tmp_path)
    assert baseline_file("best", tmp_path).stem == "good"  # what is high there is bad


def test_best_needs_a_common_cell(run_suite, tmp_path):
    with pytest.raises(InputError, match="no baseline to take @best of"):
        baseline_file("best", tmp_path)
    bless_results(run_suite(1, tasks=("rte",)), "a", tmp_path)
    bless_results(run_suite(1, tasks=("sst2",)), "b", tmp_path)
    with pytest.raises(InputError, match="no cell in common"):
        baseline_file("best", tmp_path)
    with pytest.raises(InputError, match="@last is chosen among baselines"):
        bless_results(run_suite(1), "last", tmp_path)


def test_a_side_may_be_a_commit(run_suite, tmp_path, monkeypatch):
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    known = {"GIT_CONFIG_GLOBAL": os.devnull, "PATH": os.environ["PATH"]}
    for role in ("AUTHOR", "COMMITTER"):
        known |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.org"}

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], env=known, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    hashes = []
    for seed, message in enumerate(("first", "second", "third")):
        git("commit", "--quiet", "--allow-empty", "--message", message)
        hashes.append(git("rev-parse", "HEAD"))
        if message != "third":
            bless_results(run_suite(seed + 1), message, tmp_path, commit=hashes[-1])
    git("tag", "v1", hashes[0])

    def blessed(text: str) -> str:
        return load_side(text, store=tmp_path).provenance["baseline"]["name"]

    assert [blessed(text) for text in ("v1", "HEAD~2", hashes[0], hashes[0][:9], "main~1")] == ["first"] * 4 + ["second"]
    with pytest.raises(InputError, match=f"no baseline was blessed with commit {hashes[2][:12]}"):
        load_side("main", store=tmp_path)
    # without git the start of a hash is enough
    monkeypatch.setenv("PATH", "")
    assert blessed(hashes[1][:9]) == "second"
    with pytest.raises(InputError, match="no such file or folder"):
        load_side("v1", store=tmp_path)
