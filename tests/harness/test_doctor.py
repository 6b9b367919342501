"""`harness doctor` finds what is wrong, says what to do, and tells nothing of whose machine it is."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from harness.cli import doctor, main


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HOME", raising=False)


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    main(["doctor", "--json", *arguments])
    return {(item["section"], item["name"]): item for item in json.loads(capsys.readouterr().out)}


def test_it_looks_at_everything(capsys: pytest.CaptureFixture[str]) -> None:
    items = found(capsys)
    assert {section for section, _ in items} == {"versions", "extras", "devices", "caches", "store", "entries"}
    assert items["versions", "torch"]["state"] in ("ok", "warning")
    assert items["devices", "determinism on cpu"]["state"] == "ok"
    assert items["store", "store"]["detail"].startswith("not there yet")


def test_it_names_nobody(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/alice/cache")
    main(["doctor"])
    out = capsys.readouterr().out
    assert "hf_secret" not in out and "/home/alice" not in out
    assert socket.gethostname() not in out
    assert str(Path.home()) + "/" not in out
    assert getpass.getuser() == "root" or getpass.getuser() not in out


def test_a_missing_extra_says_what_to_install(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name != "ray")
    items = found(capsys)
    assert items["extras", "ray"]["state"] == "missing"
    assert items["extras", "ray"]["advice"] == "pip install -c constraints.txt -e '.[ray]'"
    assert items["extras", "slurm"]["state"] == "ok"


def test_another_torch_than_the_pinned_one_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_pins", lambda file: {"torch": "1.0.0"})
    (torch,) = [item for item in doctor.versions() if item.name == "torch"]
    assert torch.state == "warning" and "pinned to 1.0.0" in torch.detail
    monkeypatch.setattr(doctor, "_pins", lambda file: {})
    assert [item.state for item in doctor.versions() if item.name == "pins"] == ["warning"]


def test_pins_are_read_with_comments_and_local_versions_count_as_equal(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# pins\ntorch==2.13.0  # cpu or cuda\nnumpy>=2\n", encoding="utf-8")
    assert doctor._pins(tmp_path / "constraints.txt") == {"torch": "2.13.0"}
    assert doctor._pins(tmp_path / "nothing.txt") == {}


def test_a_missing_or_old_package_is_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "rich":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "jinja2" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    states = {item.name: item for item in doctor.versions()}
    assert states["rich"].state == "broken" and "pip install" in states["rich"].advice
    assert states["jinja2"].state == "broken" and "is required" in states["jinja2"].detail
    assert main(["doctor"]) == 1


def test_a_store_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.store import Store

    Store(tmp_path / "results")
    assert found(capsys, "--store", "results")["store", "results"]["detail"] == "0 trials whole, 0 damaged"
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "store.json").write_text('{"format": 999}', encoding="utf-8")
    assert found(capsys, "--store", "odd")["store", "odd"]["state"] == "broken"


def test_a_path_is_shown_without_anyones_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/alice")
    assert doctor.shown(Path.home() / ".cache" / "harness") == "~/.cache/harness"
    assert doctor.shown(Path("/scratch/alice/harness")) == "$XDG_CACHE_HOME/harness"
    assert doctor.shown(Path("/data/alice/hub")) == ".../hub"


def test_a_name_registered_twice_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import catalog
    from harness.errors import InputError

    def twice(kind: str) -> list[Any]:
        raise InputError(f"{kind} 'x' is registered twice: a.py:1 and b.py:1")

    monkeypatch.setattr(catalog, "entries", twice)
    assert next(item.state for item in doctor.entries()) == "broken"


def test_files_that_cannot_be_read_are_broken_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import catalog
    from harness.errors import InputError

    monkeypatch.setattr(catalog, "problems", lambda: [InputError("is no Python", file="/home/alice/methods/odd.py", line=3)])
    (item,) = [item for item in doctor.entries() if item.state == "broken"]
    assert (item.name, item.detail) == ("odd.py", "line 3: is no Python")
