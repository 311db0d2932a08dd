"""The device, the precision and the memory budget of inference."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch

from zoo.errors import InputError, did_you_mean

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CPU_BUDGET = 2**30  # bytes; larger tiles gain little on a CPU and crowd out other programs
_GPU_BUDGET = 2**33  # bytes
PROCESS = 800_000_000  # bytes of Python and its packages, before there is a picture


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Return a torch device; "auto" is CUDA if available, else Apple's GPU (MPS), else the CPU.

    Raises InputError for a device that torch does not know or cannot use on this machine.
    """
    if device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        return torch.empty(0, device=device).device  # "cuda" becomes "cuda:0", as tensors have it
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise InputError(
            f"device={str(device)!r} can't be used on this machine; "
            "accepted are 'auto', 'cpu', and 'cuda' or 'mps' where torch has one."
        ) from error


def pick_precision(precision: str, device: torch.device, *, only: str | None = None) -> torch.dtype:
    """Return the dtype that convolutions run in.

    only: the precision that a model has, if it can't compute in others.

    "auto" is bf16 where the hardware multiplies it: x86 with AVX512_BF16 or AMX, CUDA GPUs of
    compute capability 8 and higher. It is fp16 on CUDA GPUs of capability 7 and fp32 elsewhere.
    Raises InputError for an unknown precision, for fp16 on the CPU, and for another than `only`.
    """
    if precision not in get_args(Precision):
        accepted = ", ".join(get_args(Precision))
        hint = did_you_mean(str(precision), get_args(Precision))
        raise InputError(f"precision={precision!r} is none of {accepted}.{hint}")
    if only is not None:
        if precision not in ("auto", only):
            raise InputError(
                f"precision={precision!r} is not for this model, an exported file, which computes"
                f" in {only}; accepted are 'auto' and {only!r}."
            )
        return _DTYPES[only]
    if precision == "fp16" and device.type == "cpu":
        raise InputError("precision='fp16' needs a GPU; the CPU takes 'bf16' and 'fp32'.")
    if precision != "auto":
        return _DTYPES[precision]
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)[0]
        return torch.bfloat16 if capability >= 8 else _DTYPES["fp16" if capability == 7 else "fp32"]
    if device.type == "cpu" and _multiplies_bf16():
        return torch.bfloat16
    return torch.float32


def memory_budget(device: torch.device, memory: int | None = None) -> int:
    """Return how many bytes the activations of a tile may take.

    On CUDA: half of the free memory, at most 8 GiB. Elsewhere: an eighth of the installed memory,
    at most 1 GiB; free memory would change the tiles from run to run.
    memory: bytes that the process may take. Where tiles lie in them, they get at most half of what
        is left besides Python and its packages.
    """
    if device.type == "cuda":
        return min(_GPU_BUDGET, torch.cuda.mem_get_info(device)[0] // 2)
    budget = min(_CPU_BUDGET, (installed_memory() or 8 * _CPU_BUDGET) // 8)
    return budget if memory is None else min(budget, max(memory - PROCESS, 0) // 2)


def installed_memory() -> int | None:
    """Return the bytes of this machine's memory; None where Python can't tell (Windows)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def megabytes(count: int) -> str:
    """Return bytes as the option --memory takes them, rounded up: "1200MB"."""
    return f"{-(-count // 10**6)}MB"


def _multiplies_bf16() -> bool:
    """Return whether the CPU has bf16 instructions; False if this torch release can't tell."""
    has: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
