"""Models of the Hugging Face hub: what the local cache holds is used, only the rest is fetched. Needs no torch."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import urllib.parse
import urllib.request
from pathlib import Path

from harness.backbones.files import CONVERT, PARTS, PICKLES, PIPELINE, TOKENIZER_FILES, WEIGHTS, WEIGHTS_INDEX
from harness.errors import InputError

OFFLINE = "offline: set HF_HOME to a cache that holds it, or copy the model and say {folder: PATH}"


def folder_of(repository: str, revision: str | None, *, fetch: bool) -> tuple[Path | None, str | None]:
    """The local snapshot of a hub model and its commit; with fetch=False, None where the cache lacks a file.

    A revision that the cache knows is not asked for again: the same suite reads the same weights until a revision is named.
    """
    config = _file(repository, "config.json", revision, fetch=fetch, required=False)
    if config is None and (pipeline := _pipeline(repository, revision, fetch=fetch)) is not None:
        return pipeline, pipeline.name
    config = config or _file(repository, "config.json", revision, fetch=fetch, required=fetch)
    if config is None:
        return None, revision
    folder, commit = config.parent, config.parent.name
    if not _weights(repository, commit, folder, fetch=fetch):
        return None, revision
    for name in (*TOKENIZER_FILES, "generation_config.json"):
        _file(repository, name, commit, fetch=fetch, required=False)
    return folder, commit


def _pipeline(repository: str, revision: str | None, *, fetch: bool) -> Path | None:
    """The snapshot of a pipeline in diffusers' format, safetensors and settings of its parts alone; None where it is none."""
    index = _file(repository, PIPELINE, revision, fetch=fetch, required=False)
    if index is None:
        return None
    commit = index.parent.name
    parts = [name for name in (*PARTS, "scheduler", "tokenizer") if name in json.loads(index.read_text(encoding="utf-8"))]
    wanted = [f"{name}/{PARTS[name]}.safetensors" for name in parts if name in PARTS]
    wanted += [f"{name}/config.json" for name in parts if name in PARTS] + ["scheduler/scheduler_config.json"]
    for name in wanted:
        if _file(repository, name, commit, fetch=fetch, required=fetch) is None:
            return None
    for name in TOKENIZER_FILES:
        _file(repository, f"tokenizer/{name}", commit, fetch=fetch, required=False)
    return index.parent


def _weights(repository: str, commit: str, folder: Path, *, fetch: bool) -> bool:
    """Whether all weights are here (then), from one file or from the shards that the index names."""
    if _file(repository, WEIGHTS, commit, fetch=fetch, required=False) is not None:
        return True
    if _file(repository, WEIGHTS_INDEX, commit, fetch=fetch, required=False) is None:
        if fetch:
            raise _no_weights(repository, commit)
        return False
    shards = sorted(set(json.loads((folder / WEIGHTS_INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    return all(_file(repository, str(name), commit, fetch=fetch, required=fetch) is not None for name in shards)


def _no_weights(repository: str, commit: str) -> InputError:
    import huggingface_hub

    if not reachable():
        return unreachable(repository, WEIGHTS)
    for name in PICKLES:
        with contextlib.suppress(OSError, ValueError):
            if huggingface_hub.file_exists(repository, name, revision=commit):
                return InputError(
                    f"{repository} has only {name}, which is not safetensors, so it is refused", key="backbone", expected=CONVERT
                )
    return InputError(f"{repository} has no {WEIGHTS}", key="backbone", expected="weights are read from safetensors files")


def _file(repository: str, name: str, revision: str | None, *, fetch: bool, required: bool) -> Path | None:
    """The local copy of a file. None where it does not exist or is out of reach, or an InputError if it is required."""
    import huggingface_hub
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        kept = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision)
    except HFValidationError as error:
        raise InputError(f"{repository!r} is no hub id: {error}", key="backbone", expected="ORGANISATION/NAME") from None
    if isinstance(kept, str):
        return Path(kept)
    problem = unreachable(repository, name)
    if fetch and kept is None and reachable():
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision))
        except LocalEntryNotFoundError:
            pass
        except GatedRepoError:
            problem = InputError(
                f"{repository} asks for its licence to be accepted", key="backbone", expected="accept it on the hub, then `hf auth login`"
            )
        except RepositoryNotFoundError:
            problem = InputError(
                f"the hub has no model {repository!r}", key="backbone", expected="check the name; private ones need `hf auth login`"
            )
        except EntryNotFoundError:
            problem = InputError(f"{repository} has no {name}", key="backbone")
        except (OSError, ValueError) as error:
            problem = unreachable(repository, name, " ".join(str(error).split())[:200])
    if required:
        raise problem
    return None


@functools.cache
def reachable() -> bool:
    """Whether the hub can be asked at all: the library would try for half a minute for each file."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if urllib.request.getproxies():
        return True
    with contextlib.suppress(OSError):
        socket.getaddrinfo(urllib.parse.urlparse(constants.ENDPOINT).hostname, 443)
        return True
    return False


def unreachable(repository: str, name: str, reason: str = "") -> InputError:
    detail = f" ({reason})" if reason else ""
    return InputError(f"the hub cannot be reached for {name} of {repository}{detail}", key="backbone", expected=OFFLINE)
