"""State dicts on disk: safetensors files with a checksum, and strict loading into models."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from zoo.errors import WeightsError
from zoo.store.atomic import replacing

PICKLE_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".pkl", ".tar")
_CHECKSUM = "tensors_sha256"


def canonical(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict without the prefixes of `torch.compile` and (Distributed)DataParallel.

    Raises WeightsError if two keys become equal.
    """
    names = _canonical_names(state)
    return {names[key]: tensor for key, tensor in state.items()}


def in_names_of(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict with the model's own names, which can look like a wrapper's."""
    own = {name: key for key, name in _canonical_names(model.state_dict()).items()}
    return {own.get(name, name): tensor for name, tensor in canonical(state).items()}


def _canonical_names(keys: Collection[str]) -> dict[str, str]:
    """Map each key to its name without the wrappers' prefixes."""
    names = {key: ".".join(p for p in key.split(".") if p != "_orig_mod") for key in keys}
    while names and all(name.startswith("module.") for name in names.values()):
        names = {key: name.removeprefix("module.") for key, name in names.items()}
    if len(set(names.values())) < len(names):
        raise WeightsError("Two entries of the state dict differ by a wrapper's prefix only.")
    return names


def unwrap(model: nn.Module) -> nn.Module:
    """Return the module inside `torch.compile`, DataParallel and DistributedDataParallel."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def save_weights(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a state dict as safetensors: canonical keys, contiguous CPU tensors, their dtypes kept.

    The file holds a checksum that `read_weights` verifies. It appears complete or not at all.
    """
    tensors = {
        key: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for key, tensor in canonical(state).items()
    }
    with replacing(Path(path)) as part:
        part.write_bytes(save(tensors, {_CHECKSUM: checksum(tensors)}))  # into the locked file


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a safetensors file into a state dict with canonical keys.

    Raises WeightsError for a missing, truncated or altered file and for any other format.
    Files of other programs have no checksum; only their structure is checked.
    """
    path = Path(path)
    check_suffix(path.name)
    if not path.is_file():
        raise WeightsError(f"There is no weight file {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(_CHECKSUM)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file ({error}); copy or download it again."
        ) from error
    if expected not in (None, checksum(tensors)):
        raise WeightsError(
            f"{path} was altered after it was saved: its checksum does not match its tensors;"
            " copy or download it again."
        )
    return canonical(tensors)


def check_suffix(name: str) -> None:
    """Raise WeightsError unless the file name ends in .safetensors."""
    if name.endswith(".safetensors"):
        return
    if name.endswith(PICKLE_SUFFIXES):
        raise WeightsError(
            f"{name} is refused, for a pickle can run any code when it is opened; convert it where"
            " you trust it: safetensors.torch.save_file(torch.load(file, weights_only=True), ...)."
        )
    raise WeightsError(
        f"{name} is not a weight file; accepted are *.safetensors files"
        " (a folder is opened by load_model)."
    )


def load_weights(
    model: nn.Module, state: Mapping[str, Tensor], *, label: str, hint: str = ""
) -> None:
    """Copy every entry of a state dict into a model, cast to the model's dtypes.

    Raises WeightsError, which starts with `label` and ends with `hint`, if keys or shapes differ or
    integers stand for floats; the model is then unchanged.
    """
    model = unwrap(model)
    own, state = model.state_dict(), in_names_of(model, state)
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    unlike = [
        f"{key} {list(state[key].shape)} for {list(own[key].shape)}"
        for key in own
        if key in state and not _alike(own[key], state[key])
    ]
    problems = [
        f"{len(keys)} {what} ({keys[0]}{', ...' if len(keys) > 1 else ''})"
        for keys, what in (
            (missing, "missing"),
            (unexpected, "unexpected"),
            (unlike, "of another shape or kind"),
        )
        if keys
    ]
    if problems:
        raise WeightsError(
            f"{label} holds weights of another model or of other options:"
            f" of {len(own)} entries {', '.join(problems)}{f'; {hint}' if hint else ''}."
        )
    model.load_state_dict(state)


def _alike(own: Tensor, other: Tensor) -> bool:
    return own.shape == other.shape and own.is_floating_point() == other.is_floating_point()


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of the names, dtypes, shapes and values of tensors, in any order."""
    digest = hashlib.sha256()
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """Return the checksum of a state dict as fp32: a copy that fp16 stores exactly has the same."""
    tensors = canonical(state)
    return checksum({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
