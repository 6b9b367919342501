"""How long a report's page needs to open in headless Chromium: from the start of the navigation to first paint and to the end of loading, wall time.

    python -m benchmarks.page [REPORT/index.html] [--methods 76] [--tasks 30] [--repeats 5] [--json FILE]

Without a page one is made of synthetic results, and its statistics and writing are timed too. Every opening is a new navigation of one browser (its
start-up is not in it); the first one is shown apart, because the file is then read for the first time. Needs chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# navigation timing level 1 (wall clock) and the paints of the performance timeline
SCRIPT = """
const t = performance.timing, paints = {};
for (const p of performance.getEntriesByType('paint')) paints[p.name] = p.startTime;
return {navigationStart: t.navigationStart, domInteractive: t.domInteractive, domContentLoadedEventEnd: t.domContentLoadedEventEnd,
        loadEventEnd: t.loadEventEnd, paints: paints, bytes: document.documentElement.outerHTML.length};
"""


@dataclass(frozen=True)
class Opening:
    """Milliseconds after the start of the navigation; `paint` is the first contentful paint, None where the browser reported none."""

    interactive: float
    content: float
    load: float
    paint: float | None


def read_timing(found: Mapping[str, Any]) -> Opening:
    """What SCRIPT returned. A mark that is still 0 has not happened: such a page has not finished loading and is no measurement.

    >>> read_timing({"navigationStart": 1000, "domInteractive": 1100, "domContentLoadedEventEnd": 1150, "loadEventEnd": 1200,
    ...              "paints": {"first-contentful-paint": 90.5}})
    Opening(interactive=100.0, content=150.0, load=200.0, paint=90.5)
    """
    start = float(found["navigationStart"])
    marks = [float(found[name]) for name in ("domInteractive", "domContentLoadedEventEnd", "loadEventEnd")]
    if start <= 0 or any(mark < start for mark in marks):
        raise ValueError("the page has not finished loading")
    paints = found.get("paints") or {}
    paint = paints.get("first-contentful-paint", paints.get("first-paint"))
    interactive, content, load = (mark - start for mark in marks)
    return Opening(interactive, content, load, None if paint is None else float(paint))


def table(first: Opening, later: Sequence[Opening], load: float) -> str:
    """The first opening, and the median and range of the later ones."""
    lines = ["| ms after the start of the navigation | first opening | median of later | range |", "|---|---|---|---|"]
    for name, label in (
        ("paint", "first contentful paint"),
        ("interactive", "DOM interactive"),
        ("content", "DOMContentLoaded"),
        ("load", "load"),
    ):
        values = [value for opening in later if (value := getattr(opening, name)) is not None]
        at_first = getattr(first, name)
        shown = "–" if at_first is None else f"{at_first:.0f}"
        spread = f"{statistics.median(values):.0f} | {min(values):.0f} to {max(values):.0f}" if values else "– | –"
        lines.append(f"| {label} | {shown} | {spread} |")
    return "\n".join([*lines, "", f"{len(later) + 1} openings, load of the machine {load:.1f}, {os.cpu_count()} cores"])


@contextmanager
def chromedriver() -> Iterator[str]:
    """Address of a running chromedriver."""
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            sys.exit(f"{program} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                _send("GET", address + "/status")
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _send(verb: str, address: str, body: Mapping[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data, method=verb, headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the driver is on this machine
    with opener.open(request, timeout=120) as answer:
        return json.loads(answer.read())["value"]


def openings(page: Path, repeats: int, width: int = 1400, height: int = 900) -> list[Opening]:
    """The page opened `repeats` times in one browser, from an empty page each time."""
    with chromedriver() as driver, tempfile.TemporaryDirectory() as profile:
        options = {"args": [*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"], "binary": shutil.which("chromium")}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        session = f"{driver}/session/{_send('POST', driver + '/session', wanted)['sessionId']}"
        found = []
        try:
            for _ in range(repeats):
                _send("POST", session + "/url", {"url": "about:blank"})
                _send("POST", session + "/url", {"url": page.resolve().as_uri()})  # returns after the load event
                time.sleep(0.3)  # the paint's entry is written after the frame
                found.append(read_timing(_send("POST", session + "/execute/sync", {"script": SCRIPT, "args": []})))
        finally:
            _send("DELETE", session)
        return found


def make_page(methods: int, tasks: int, folder: Path) -> Path:
    """A page of synthetic results; says how long its statistics and its writing took."""
    from harness.reports.analysis import Options, analyse
    from harness.reports.html import write_page
    from harness.reports.synthetic import Plan, synthetic_results

    results = synthetic_results(Plan(methods=methods, tasks=tasks, examples=60))
    marks = [(time.perf_counter(), time.process_time())]
    for step in ("cold", "cached"):
        analysis = analyse(results, Options(), stored=folder / "results.json")
        marks.append((time.perf_counter(), time.process_time()))
        wall, cpu = (b - a for a, b in zip(marks[-2], marks[-1]))
        print(f"statistics of {len(results.trials):,} trials, {step}: {wall:.1f} s wall, {cpu:.1f} s CPU", flush=True)
    page = write_page(analysis, folder)
    wall, cpu = (b - a for a, b in zip(marks[-1], (time.perf_counter(), time.process_time())))
    print(
        f"page of {methods} methods x {tasks} tasks: {wall:.1f} s wall, {cpu:.1f} s CPU, {page.stat().st_size / 1e6:.2f} MB\n", flush=True
    )
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, nargs="?", help="index.html of a report; without it one is made")
    parser.add_argument("--methods", type=int, default=76)
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the openings here")
    arguments = parser.parse_args()
    if arguments.page is not None and not arguments.page.is_file():
        parser.error(f"{arguments.page} is no file")
    if arguments.repeats < 2:
        parser.error("--repeats: at least 2, the first opening stands apart")
    with tempfile.TemporaryDirectory() as scratch:
        page = arguments.page or make_page(arguments.methods, arguments.tasks, Path(scratch))
        found = openings(page, arguments.repeats)
    print(table(found[0], found[1:], os.getloadavg()[0]))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(opening) for opening in found], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
