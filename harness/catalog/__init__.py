"""Finding entries without importing them: `list` and `show` answer at once, and a broken method breaks only itself.

    find("method", "lora").settings["rank"].setting.default
    load("method", "lora")(rank=4)

Every module of the harness's own packages, of packages with an entry point in `harness.entries`, and of folders that the
user names (`--entries PATH`; never the current folder by itself) is read as a syntax tree; YAML files are read as data.
"""

from harness.catalog.cache import cache_folder
from harness.catalog.declared import Declared
from harness.catalog.entries import Found
from harness.catalog.lookup import Catalog, entries, find, find_any, iterate, load, plural, problems, refresh, summary, use

__all__ = [
    "Catalog",
    "Declared",
    "Found",
    "cache_folder",
    "entries",
    "find",
    "find_any",
    "iterate",
    "load",
    "plural",
    "problems",
    "refresh",
    "summary",
    "use",
]
