"""From a spec to a loaded `Backbone`: checked files in, parameters frozen, capabilities confirmed; one is kept per worker."""

from __future__ import annotations

import contextlib
import importlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer
from transformers.activations import NewGELUActivation

from harness.backbones import files
from harness.backbones.architectures import architecture_of
from harness.backbones.attention import ATTENTION
from harness.backbones.backbone import Backbone
from harness.backbones.capabilities import LOADERS, Family
from harness.backbones.describe import BackboneInfo, Spec, describe
from harness.backbones.meter import Tally
from harness.backbones.parts import parts_of, with_parts
from harness.errors import InputError, UnsupportedError
from harness.identity import canonical

CLASSES: dict[Family, Any] = {  # of text models
    "masked_lm": transformers.AutoModelForMaskedLM,
    "causal_lm": transformers.AutoModelForCausalLM,
    "encoder_decoder": transformers.AutoModelForSeq2SeqLM,
    "encoder": transformers.AutoModel,
}
KEPT_BYTES = 2 << 30  # of weights of backbones that stay loaded; the newest stays whatever its size
LONGEST_RELATIVE = 512  # tokens, for models whose relative positions set no limit: what T5 was trained with

_loaded: OrderedDict[str, Any] = OrderedDict()


def load(spec: Spec, *, device: str | torch.device = "cpu", dtype: str | None = None, trust_remote_code: tuple[str, ...] = ()) -> Any:
    """The backbone that `spec` names (see `describe`), on `device`: a `Backbone` for text, else the `Pretrained` class of its family.

    Asking again gives the same object with a fresh meter.

    dtype : of the weights; None takes the spec's, else float32.
    trust_remote_code : "MODEL@COMMIT" for every model whose own code may run.
    InputError for files that are missing, damaged, pickled or out of reach; UnsupportedError for an unknown architecture.
    """
    info = describe({**_mapping(spec), "dtype": dtype} if dtype else spec)
    key = canonical([info.identity, str(device), info.device_map])
    if key in _loaded:
        _loaded.move_to_end(key)
        _loaded[key].meter = Tally()
        return _loaded[key]
    backbone = _of_family(info, torch.device(device), trust_remote_code)
    _loaded[key] = backbone
    _drop_old()
    return backbone


def _of_family(info: BackboneInfo, device: torch.device, trusted: tuple[str, ...]) -> Any:
    if info.family not in LOADERS:
        return _load(info, device, trusted)
    module, _, name = LOADERS[info.family].partition(":")
    return getattr(importlib.import_module(module), name)(info, device)


def clear() -> None:
    """Forget all loaded backbones."""
    _loaded.clear()


def _mapping(spec: Spec) -> Mapping[str, Any]:
    return {"name": spec} if isinstance(spec, str) else spec


def _drop_old() -> None:
    def size(backbone: Any) -> int:
        return sum(p.numel() * p.element_size() for p in backbone.model.parameters())

    while len(_loaded) > 1 and sum(map(size, _loaded.values())) > KEPT_BYTES:
        _loaded.popitem(last=False)


def _load(info: BackboneInfo, device: torch.device, trusted: tuple[str, ...]) -> Backbone:
    from harness.backbones.probe import confirmed_capabilities

    assert info.folder is not None
    remote = _remote_code(info, trusted)
    files.check_weights(info.folder)
    with _quiet():
        config = AutoConfig.from_pretrained(info.folder, **remote)
        architecture = architecture_of(config)
        tokenizer = _tokenizer(info.folder, remote)
        model = _model(info, config, remote) if info.untrained is None else _untrained(info, config)
    if info.device_map is None:
        model.to(device)
    model.set_attn_implementation(ATTENTION)
    fuse_activations(model)
    backbone = Backbone(
        name=info.name,
        family=info.family,
        model=model,
        tokenizer=tokenizer,
        architecture=architecture,
        max_length=info.max_length or longest_input(config, tokenizer),
        identity=info.identity,
    )
    backbone.capabilities = confirmed_capabilities(backbone)
    return backbone


def _remote_code(info: BackboneInfo, trusted: tuple[str, ...]) -> dict[str, Any]:
    """Arguments for from_pretrained: remote code runs only for MODEL@COMMIT that was named on the command line."""
    if not info.remote_code:
        return {}
    wanted = f"{info.name}@{info.revision}"
    if info.revision is None or wanted not in trusted:
        raise InputError(
            f"{info.name} needs code of its own to run", key="backbone", expected=f"trust it with --trust-remote-code {wanted}"
        )
    return {"trust_remote_code": True, "code_revision": info.revision}


def _tokenizer(folder: Path, remote: dict[str, Any]) -> Any:
    expected = "tokenizer.json belongs beside the weights"
    if not any((folder / name).is_file() for name in files.VOCABULARIES):  # the library would make up an empty one
        raise InputError("has no tokenizer", file=folder, expected=expected)
    try:
        return AutoTokenizer.from_pretrained(folder, use_fast=True, **remote)
    except Exception as error:  # the library raises whatever the file made it stumble over
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"its tokenizer cannot be read: {reason}", file=folder, expected=expected) from None


def _model(info: BackboneInfo, config: Any, remote: dict[str, Any]) -> Any:
    """The model in evaluation mode; InputError where the files lack weights that the family needs."""
    assert info.folder is not None
    extra: dict[str, Any] = dict(remote)
    if info.device_map is not None:
        extra["device_map"] = info.device_map
    if info.family == "encoder" and config.model_type in ("bert", "roberta", "xlm-roberta", "camembert"):
        extra["add_pooling_layer"] = False
    try:
        model, report = _class(info, config).from_pretrained(
            info.folder, config=config, dtype=getattr(torch, info.dtype), use_safetensors=True, output_loading_info=True, **extra
        )
    except (OSError, RuntimeError) as error:
        raise InputError(f"weights do not fit the configuration: {' '.join(str(error).split())[:200]}", file=info.folder) from None
    except ValueError as error:
        raise UnsupportedError(f"{info.name} is no {info.family}: {' '.join(str(error).split())[:200]}") from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"its files lack {len(missing)} weights of a {info.family}, first {missing[0]}",
            file=info.folder,
            expected="say family: encoder if it has no language-model head" if info.family != "encoder" else "fetch it again",
        )
    return model.eval()


def _untrained(info: BackboneInfo, config: Any) -> Any:
    """A model of the same shape with random weights, drawn as the library draws them: the control of every claim about pretraining."""
    assert info.untrained is not None
    extra = {"add_pooling_layer": False} if info.family == "encoder" and config.model_type in ("bert", "roberta") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(info.untrained)
        if parts_of(config):
            return _class(info, config)._from_config(config, dtype=getattr(torch, info.dtype)).eval()
        return CLASSES[info.family].from_config(config, dtype=getattr(torch, info.dtype), **extra).eval()


def _class(info: BackboneInfo, config: Any) -> Any:
    """What builds the model: the library's automatic class, or its stock class with the parts that the configuration names."""
    auto = CLASSES[info.family]
    return with_parts(auto._model_mapping[type(config)]) if parts_of(config) else auto


def fuse_activations(model: nn.Module) -> None:
    """Replace the tanh GELU that is spelled out in eight operations by the same in one: a fifth of a GPT-2's time on a CPU."""
    for path, module in list(model.named_modules()):
        if isinstance(module, NewGELUActivation):
            model.set_submodule(path, nn.GELU(approximate="tanh"))


def longest_input(config: Any, tokenizer: Any) -> int:
    """The longest input in tokens by the configuration, and by the tokenizer where that is shorter."""
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or LONGEST_RELATIVE
    if architecture_of(config).first_position == "after_padding_id":
        positions -= (config.pad_token_id or 0) + 1
    stated = getattr(tokenizer, "model_max_length", None)
    return min(int(positions), int(stated)) if stated and stated < 10**9 else int(positions)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Progress bars and load reports of the library would break into our own display."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
