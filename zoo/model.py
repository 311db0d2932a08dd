"""The base class of every model in the zoo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoo.errors import InputError
from zoo.store.folder import push_to_hub
from zoo.store.state_dict import fingerprint


@dataclass(frozen=True)
class InputSpec:
    """What a model takes: float `[N, channels, H, W]`, H and W from `min_side` up.

    mean, std: per channel; the model itself normalises with them.
    range: of the input's values.
    image_size: side of the square training images in pixels; None where any size will do.
    """

    channels: int
    min_side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    range: tuple[float, float] = (0.0, 1.0)
    image_size: int | None = None


class ZooModel(nn.Module):
    """Base class of all models: a module that records how it was built.

    config: `{"architecture": name, "options": {...}}`, set by the registry after building.
    classifier: name of the submodule whose shape depends on the number of classes, or None.
    image_size: side of the square training images in pixels; None if unknown.
    split: which images it was trained on, as `zoo.seg.data.splits.SplitRule` has it; None if
        unknown.
    """

    config: dict[str, Any]
    classifier: str | None = None
    image_size: int | None = None
    split: dict[str, Any] | None = None
    _loaded: tuple[str, str] | None = None  # name and fingerprint of the weights

    @property
    def source(self) -> str | None:
        """The weights that the model holds ("srresnet_x4.psnr", "hf-hub:org/repo@commit", a path
        or a URL); None for random weights, and once a value of what was loaded has changed.
        """
        if self._loaded is None:
            return None
        name, loaded = self._loaded
        return name if fingerprint(self.state_dict()) == loaded else None

    @source.setter
    def source(self, name: str | None) -> None:
        self._loaded = None if name is None else (name, fingerprint(self.state_dict()))

    @property
    def input_spec(self) -> InputSpec:
        """The images that the model takes."""
        raise NotImplementedError(f"{type(self).__name__} does not tell what it takes.")

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "Upload model",
    ) -> str:
        """Upload `model.safetensors` and `config.json` to the Hugging Face repository "org/name".

        The repository is created if it does not exist. Returns the URL of the commit.
        Raises WeightsError when the hub refuses or cannot be reached.
        """
        return push_to_hub(self, repo, private=private, token=token, commit_message=commit_message)


def as_floats(values: Tensor) -> tuple[float, ...]:
    """Return the values of a small tensor, such as a mean for each channel."""
    return tuple(values.detach().flatten().tolist())


def check_images(x: Tensor, channels: int) -> None:
    """Raise InputError unless `x` is a batch of float images `[N, channels, H, W]`."""
    if x.ndim != 4 or x.shape[1] != channels or not x.is_floating_point():
        raise InputError(
            f"This network takes float images [N, {channels}, H, W] in [0, 1],"
            f" not {x.dtype} {list(x.shape)}."
        )
