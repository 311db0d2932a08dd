"""Building a network that is not much larger than the weights that are there for it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from zoo.errors import WeightsError

# A builder may make parts that it drops, such as the late stages of an encoder.
_TIMES = 4
_NUMBERS, _TENSORS = 300_000_000, 20_000  # allowed in any case


@contextmanager
def no_larger_than(weights: Collection[Tensor], label: str) -> Iterator[None]:
    """Refuse, during the block, to build networks far larger than these weights.

    Options in a file from elsewhere can ask for any size. That is noticed before the memory for it
    is used. `label` names the weights. Raises WeightsError.
    """
    numbers = max(_NUMBERS, _TIMES * sum(tensor.numel() for tensor in weights))
    tensors = max(_TENSORS, _TIMES * len(weights))
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, parameter: Tensor | None) -> None:
        nonlocal numbers, tensors
        if parameter is None or threading.get_ident() != thread:
            return
        numbers, tensors = numbers - parameter.numel(), tensors - 1
        if numbers < 0 or tensors < 0:
            raise WeightsError(
                f"{label}: its options describe a network far larger than its weights."
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
