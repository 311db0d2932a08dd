"""Record the outputs of a network's layers, for losses and exploration."""

from __future__ import annotations

from types import TracebackType

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zoo.errors import UnknownNameError, did_you_mean


class SaveFeatures:
    """Context manager that records the outputs of the named layers.

        with SaveFeatures(model, "encoder.trunk.layer1", "decoder") as features:
            model(image)
        features["decoder"]  # the tensor of the last call

    It uses forward hooks, so it works in one thread and with uncompiled networks only.

    Raises:
        UnknownNameError: the network has no layer of that name.
    """

    def __init__(self, model: nn.Module, *names: str) -> None:
        self.layers = dict(model.named_modules())
        for name in names:
            if name not in self.layers:
                raise UnknownNameError(
                    f"The network has no layer called {name!r}.{did_you_mean(name, self.layers)}"
                )
        self.names = names
        self.features: dict[str, Tensor] = {}
        self.handles: list[RemovableHandle] = []

    def __enter__(self) -> SaveFeatures:
        for name in self.names:

            def keep(layer: nn.Module, inputs: object, output: Tensor, name: str = name) -> None:
                self.features[name] = output

            self.handles.append(self.layers[name].register_forward_hook(keep))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self.handles:
            self.handles.pop().remove()

    def __getitem__(self, name: str) -> Tensor:
        return self.features[name]
