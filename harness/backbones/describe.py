"""What a backbone is without loading it: where its files are, its family, what it may do, and its identity. Needs no torch.

describe("tiny-causal-lm")   a registered entry (harness/backbones/*.yaml, or an outsider's)
describe("org/name")         a model of the Hugging Face hub
describe("./models/mine")    a local folder in hub format; also {folder: PATH}
describe({"hub": "org/name", "revision": "main", "dtype": "bfloat16", "max_length": 1024})
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.backbones import files, hub
from harness.backbones.capabilities import BIASES, EXPECTED, FAMILIES, MODEL_TYPES, NOT_TEXT, Family
from harness.errors import InputError, UnsupportedError, unknown_name

Spec = str | Mapping[str, Any]
KEYS = ("name", "hub", "folder", "package", "revision", "dtype", "device_map", "family", "max_length", "untrained")
PLACES = ("name", "hub", "folder", "package")
DTYPES = ("float32", "float16", "bfloat16")
WITHOUT_BIASES = ("llama", "mistral", "t5")  # model types whose layers have no bias terms
SHIPPED = Path(__file__).parent


@dataclass(frozen=True)
class BackboneInfo:
    """A backbone before it is loaded.

    folder : where its files are; None while a hub model has not been fetched.  revision : the hub commit.
    untrained : seed of random weights in place of the trained ones: a control.
    identity : JSON-able, and equal for equal weights, tokenizer, configuration and dtype, wherever they are stored.
    """

    name: str
    family: Family
    capabilities: frozenset[str]
    identity: dict[str, Any]
    folder: Path | None = None
    revision: str | None = None
    dtype: str = "float32"
    device_map: str | dict[str, Any] | None = None
    max_length: int | None = None
    remote_code: bool = False
    untrained: int | None = None


def describe(spec: Spec, *, fetch: bool = True) -> BackboneInfo:
    """What `spec` names. Hub files that are not here yet are downloaded, or with fetch=False left out: then `folder` is None and
    the identity has no digests. InputError for what cannot be had; UnsupportedError for a model of no known family."""
    asked = parse(spec)
    folder, revision = locate(asked, fetch=fetch)
    config = files.config_of(folder) if folder is not None else {}
    family = asked.get("family") or family_of(config, folder, str(asked["label"]))
    if family not in FAMILIES:
        raise unknown_name("family", str(family), FAMILIES).located(key="family")
    dtype = str(asked.get("dtype") or "float32")
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES).located(key="dtype")
    identity: dict[str, Any] = {"name": asked["label"], "family": family, "dtype": dtype, "revision": revision}
    identity |= {"max_length": asked.get("max_length"), **(files.digests(folder) if folder is not None else {})}
    untrained = asked.get("untrained")
    if untrained is not None and (not isinstance(untrained, int) or isinstance(untrained, bool) or untrained < 0):
        raise InputError(f"{untrained!r} is no seed", key="untrained", expected="a whole number from 0, which draws the weights")
    if untrained is not None:
        identity["untrained"] = untrained
    capabilities = EXPECTED[family] - (frozenset({BIASES}) if config.get("model_type") in WITHOUT_BIASES else frozenset())
    remote = "auto_map" in config and not files.known_model_type(config)
    return BackboneInfo(
        str(asked["label"]), family, capabilities, identity, folder, revision, dtype, asked.get("device_map"), asked.get("max_length"), remote, untrained
    )  # fmt: skip


def parse(spec: Spec) -> dict[str, Any]:
    """`spec` as one mapping with a single place (hub, folder or package) and a `label`; registered names are looked up."""
    given = dict(from_text(spec) if isinstance(spec, str) else spec)
    for key in given:
        if key not in KEYS:
            raise unknown_name("key", str(key), KEYS).located(key="backbone")
    places = [key for key in PLACES if given.get(key) is not None]
    if len(places) != 1:
        raise InputError(f"{given!r} does not say one place", key="backbone", expected=f"give one of {', '.join(PLACES)}")
    length = given.get("max_length")
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 8):
        raise InputError(f"{length!r} is no length in tokens", key="max_length", expected="a whole number of at least 8")
    if "name" in given:
        text = str(given.pop("name"))
        return {**_registered(text), **given} if _is_slug(text) else {**parse(text), **given}
    place = str(given[places[0]])
    return {**given, "label": Path(place).expanduser().name if places[0] == "folder" else place}


def from_text(text: str) -> dict[str, str]:
    if text.startswith(("/", "./", "../", "~")) or text.count("/") > 1 or os.path.isabs(text):
        return {"folder": text}
    return {"hub": text} if "/" in text else {"name": text}


def _is_slug(text: str) -> bool:
    return "/" not in text and os.sep not in text and not text.startswith("~")


def _registered(name: str) -> dict[str, Any]:
    """The entry of that name: its file's keys, a relative folder taken from where the file is."""
    from harness import catalog

    found = catalog.find("backbone", name)
    entry = {key: value for key, value in found.attributes.items() if key in KEYS and key != "name"}
    if "folder" in entry:
        entry["folder"] = str(found.file.parent / str(entry["folder"]))
    return {**entry, "label": name}


def locate(asked: Mapping[str, Any], *, fetch: bool) -> tuple[Path | None, str | None]:
    """The folder that holds the files, and the hub commit."""
    if asked.get("hub") is not None:
        return hub.folder_of(str(asked["hub"]), asked.get("revision"), fetch=fetch)
    if asked.get("package") is not None:
        return files.package_folder(str(asked["package"])), None
    folder = Path(str(asked["folder"])).expanduser()
    if not folder.is_dir():
        raise InputError(
            "there is no such folder", file=folder, key="backbone", expected="a folder with config.json and safetensors weights"
        )
    return folder, None


_BY_CLASS_END: tuple[tuple[str, Family], ...] = (
    ("ForMaskedLM", "masked_lm"),
    ("ForPreTraining", "masked_lm"),
    ("ForCausalLM", "causal_lm"),
    ("LMHeadModel", "causal_lm"),
    ("ForConditionalGeneration", "encoder_decoder"),
)


def family_of(config: Mapping[str, Any], folder: Path | None, label: str) -> Family:
    """The family by the class that the configuration names; a text model without a language-model head is an encoder."""
    by_type = MODEL_TYPES.get(str(config.get("model_type")))
    if by_type in NOT_TEXT:
        return by_type
    classes = [str(name) for name in config.get("architectures") or ()]
    for name in classes:
        for end, family in _BY_CLASS_END:
            if name.endswith(end):
                return family
    if by_type is not None:
        return by_type
    if any(name.endswith("Model") for name in classes):
        return "encoder"
    if folder is None:
        raise InputError(
            f"the family of {label} is not known before it is fetched", key="family", expected=f"say family: {' | '.join(FAMILIES)}"
        )
    shown = ", ".join(classes) or "no class"
    raise UnsupportedError(f"{label}: config.json names {shown}, which is no known family (say family: {' | '.join(FAMILIES)})")
