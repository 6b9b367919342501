"""`harness doctor`: is this installation in order? What it prints can be pasted into an issue: no host, user or token in it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from harness import catalog
from harness.catalog import cache_folder
from harness.cli.output import heading, print_aligned, print_json
from harness.errors import InputError

DISTRIBUTION = "adaptation-harness"
LITTLE_SPACE = 2 * 2**30  # bytes; a store of a few hundred trials with small adaptations is under 1 GiB


@dataclass(frozen=True)
class Finding:
    """One thing looked at. state: ok, warning (results may not be reproducible, or something is optional), or broken."""

    section: str
    name: str
    state: str
    detail: str
    advice: str = ""


def doctor(
    store: Annotated[str, typer.Option(help="Store to look at, if it is there.")] = "store",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Versions, devices, determinism, cache and store health, missing extras. Exit 1 if something is broken."""
    findings = [*versions(), *extras(), *devices(), *caches(), *stores(Path(store)), *entries()]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for section in dict.fromkeys(finding.section for finding in findings):
            heading(section)
            print_aligned([(f.state, f.name, f.detail, f"-> {f.advice}" if f.advice else "") for f in findings if f.section == section])
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def versions() -> Iterator[Finding]:
    """Python and every package the harness requires, against its requirement and against constraints.txt."""
    yield Finding("versions", "python", "ok", platform.python_version())
    yield Finding("versions", "harness", "ok", importlib.metadata.version(DISTRIBUTION))
    pinned = _pins(Path(__file__).parents[2] / "constraints.txt")
    for requirement, extra in _requirements():
        if extra is None:
            yield _version(requirement, pinned.get(requirement.name))
    if not pinned:
        advice = "install from a checkout with `pip install -c constraints.txt -e .` for numbers that repeat"
        yield Finding("versions", "pins", "warning", "no constraints.txt beside the package: torch is not pinned", advice)


def _version(requirement: Any, pin: str | None) -> Finding:
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding("versions", requirement.name, "broken", "not installed", f"pip install -c constraints.txt '{requirement}'")
    if not requirement.specifier.contains(installed, prereleases=True):
        return Finding(
            "versions",
            requirement.name,
            "broken",
            f"{installed}, but {requirement.specifier} is required",
            "pip install -c constraints.txt -e .",
        )
    if pin is not None and installed.partition("+")[0] != pin:
        detail = f"{installed}, but results are pinned to {pin}"
        return Finding("versions", requirement.name, "warning", detail, "pip install -c constraints.txt -e .")
    return Finding("versions", requirement.name, "ok", installed + (" (pinned)" if pin else ""))


def _requirements() -> Iterator[tuple[Any, str | None]]:
    """(requirement, extra it belongs to) of this distribution, extras of development left out."""
    from packaging.requirements import Requirement

    names = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    for text in importlib.metadata.requires(DISTRIBUTION) or []:
        requirement = Requirement(text)
        extra = next((name for name in names if requirement.marker is not None and requirement.marker.evaluate({"extra": name})), None)
        if extra is None and requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        yield requirement, extra


def _pins(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return {name.strip(): version.strip() for name, equals, version in (line.partition("==") for line in lines) if equals}


def extras() -> Iterator[Finding]:
    """Which optional packages are there."""
    by_extra: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for requirement, extra in _requirements():
        if extra is not None:
            by_extra.setdefault(extra, []).append(requirement.name)
            if not _installed(requirement.name):
                missing.setdefault(extra, []).append(requirement.name)
    for extra, names in by_extra.items():
        gone = missing.get(extra, [])
        detail = f"{', '.join(gone)} missing" if gone else ", ".join(names)
        yield Finding(
            "extras", extra, "missing" if gone else "ok", detail, f"pip install -c constraints.txt -e '.[{extra}]'" if gone else ""
        )


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def devices() -> Iterator[Finding]:
    """CPU and GPUs, and whether a seeded training step gives the same bytes twice on each."""
    try:
        import torch
    except ImportError as error:
        yield Finding("devices", "torch", "broken", f"cannot be imported: {error}", "pip install -c constraints.txt -e .")
        return
    yield Finding("devices", "cpu", "ok", f"{platform.machine()}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(i)
            detail = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}, bf16 {'yes' if torch.cuda.is_bf16_supported() else 'no'}"
            yield Finding("devices", f"cuda:{i}", "ok", detail)
    else:
        yield Finding("devices", "cuda", "ok", "none: trials run on the CPU")
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        same = trained_bytes(device) == trained_bytes(device)
        detail = "one seed repeats bit for bit" if same else "one seed gave different bytes twice"
        yield Finding(
            "devices",
            f"determinism on {device}",
            "ok" if same else "warning",
            detail,
            "" if same else "scores will differ a little between runs",
        )


def trained_bytes(device: str) -> bytes:
    """Weights after three seeded steps of a small network with what trials use: attention, dropout, cross-entropy, AdamW."""
    import torch
    from torch.nn import functional

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(0)
        network = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).to(device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
        batch = torch.randn(8, 16, 32).to(device)
        target = torch.randint(0, 32, (8,)).to(device)
        for _ in range(3):
            optimiser.zero_grad()
            functional.cross_entropy(network(batch).mean(dim=1), target).backward()
            optimiser.step()
        return b"".join(parameter.detach().cpu().numpy().tobytes() for parameter in network.parameters())


def caches() -> Iterator[Finding]:
    """Our cache folder and Hugging Face's: writable, how large."""
    hub = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface")
    for name, folder in (("harness", cache_folder()), ("hugging face", hub)):
        if _writable(folder):
            yield Finding("caches", name, "ok", f"{shown(folder)}, {_size(folder) / 2**20:.1f} MiB")
        else:
            yield Finding(
                "caches", name, "warning", f"{shown(folder)} cannot be written", "set XDG_CACHE_HOME or HF_HOME to a folder that can"
            )
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    yield Finding("caches", "hub", "ok", "offline (HF_HUB_OFFLINE is set)" if offline else "online: models and data may be downloaded")


def stores(folder: Path) -> Iterator[Finding]:
    """The store: readable, whole, with room left."""
    place = folder if folder.exists() else folder.absolute().parent
    space = shutil.disk_usage(place).free
    advice = "free some space" if space < LITTLE_SPACE else ""
    yield Finding("store", "space", "warning" if advice else "ok", f"{space / 2**30:.1f} GiB free", advice)
    if not folder.exists():
        yield Finding("store", folder.name, "ok", "not there yet; `harness run` makes it")
        return
    from harness.store import Store
    from harness.store_care import check

    try:
        good, damaged = check(Store(folder, create=False))
    except InputError as error:
        yield Finding("store", folder.name, "broken", error.message, error.expected or "")
        return
    advice = f"harness store check {folder.name} --repair" if damaged else ""
    yield Finding("store", folder.name, "broken" if damaged else "ok", f"{good} trials whole, {len(damaged)} damaged", advice)
    if not _writable(folder):
        yield Finding("store", "access", "warning", "cannot be written", "results can be read but none added")


def entries() -> Iterator[Finding]:
    """What the catalog found, and files it could not read."""
    try:
        counts = {kind: len(catalog.entries(kind)) for kind in ("method", "task", "backbone", "suite", "metric")}
        yield Finding("entries", "catalog", "ok", ", ".join(f"{number} {catalog.plural(kind)}" for kind, number in counts.items()))
    except InputError as error:  # a name registered twice
        yield Finding("entries", "catalog", "broken", error.message, error.expected or "")
    for problem in catalog.problems():
        name = Path(problem.file).name if problem.file else "entry point"
        yield Finding("entries", name, "broken", f"line {problem.line}: {problem.message}" if problem.line else problem.message)


def shown(path: Path) -> str:
    """A path without anyone's name in it: from `~` or from the variable that set it, or nothing but its last part."""
    starts = {"~": str(Path.home()), **{f"${name}": os.environ.get(name, "") for name in ("HF_HOME", "XDG_CACHE_HOME")}}
    for name, start in starts.items():
        if start and path.is_relative_to(start):
            return str(Path(name) / path.relative_to(start))
    return f".../{path.name}"


def _writable(folder: Path) -> bool:
    """Tried out, since permission bits say little on network file systems; nothing is left behind."""
    nearest = folder
    while not nearest.exists():
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return True
    except OSError:
        return False


def _size(folder: Path) -> int:
    return sum(os.lstat(Path(place, name)).st_size for place, _, names in os.walk(folder) for name in names)
