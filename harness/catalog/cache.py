"""What was read from files, kept in one JSON file under the user's cache folder by path, time of change and size.

The cache is a convenience: where it is damaged, missing or unwritable, everything works and is only slower.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

FORMAT = 1  # of the cache file
SETTLED = 2.0  # seconds; a file changed more recently than this could change again within one tick of the clock


def cache_folder() -> Path:
    """Where derived data may be kept: $XDG_CACHE_HOME/harness, or ~/.cache/harness."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and os.path.isabs(base) else Path.home() / ".cache") / "harness"


class Cache:
    """What was read from files, by key, while none of those files changed."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.changed = False
        self.entries: dict[str, Any] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
                kept = json.loads(path.read_text(encoding="utf-8"))
                self.entries = dict(kept["entries"]) if kept["format"] == [FORMAT, _own_stamp()] else {}

    def get(self, key: str) -> Any | None:
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            entry = self.entries[key]
            if entry["files"] and all(_stamp(Path(path)) == stamp for path, stamp in entry["files"].items()):
                return entry["value"]
        return None

    def put(self, key: str, value: Any, files: set[Path]) -> None:
        stamps = {str(path): _stamp(path) for path in files}
        if all(stamp is not None and time.time() - stamp[0] / 1e9 > SETTLED for stamp in stamps.values()):
            self.entries[key] = {"files": stamps, "value": value}
            self.changed = True

    def save(self) -> None:
        """Write what is new, in one step; a folder that cannot be written is no error."""
        if not self.changed or self.path is None:
            return
        kept = {key: entry for key, entry in self.entries.items() if all(map(os.path.exists, entry.get("files", ())))}
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".catalog-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump({"format": [FORMAT, _own_stamp()], "entries": kept}, file)
                os.replace(temporary, self.path)
            except OSError:
                os.unlink(temporary)
                raise
        self.changed = False


def _stamp(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_mtime_ns, stat.st_size]


@functools.cache
def _own_stamp() -> list[Any]:
    """Changes whenever the readers themselves change, so that no reading of an older reader is used."""
    here = Path(__file__).parent
    engine = [here.parent / name for name in ("settings.py", "safe_yaml.py", "registry.py")]
    return [_stamp(path) for path in [*sorted(here.glob("*.py")), *engine]]
