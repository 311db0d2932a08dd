"""The base class of every model in the zoo."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from zoo.errors import InputError
from zoo.store.state_dict import fingerprint

if TYPE_CHECKING:
    from typing_extensions import Self

Names = Sequence[str]


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

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Return a trained model in eval mode from the Hugging Face hub, or from a folder.

        name: the repository "org/repo", or a folder with config.json and model.safetensors; a
            folder that exists goes first.
        revision: a branch, a tag or a commit of the repository; None for its main branch.
        token: of an account that may see it; None for that of `hf auth login` or HF_TOKEN, if any.
        cache_dir: of downloads; None for the hub's own (HF_HOME).
        local_files_only: do not use the network, as with HF_HUB_OFFLINE=1.

        The weights are checked against the sha256 that the hub gives.
        Raises WeightsError for what is missing, refused, damaged or holds another class of model,
        UnknownNameError for a model that is not registered.
        """
        model: Self = _hub().from_pretrained(
            cls,
            name,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        return model

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, license: str | None = None, datasets: Names = ()
    ) -> Path:
        """Write config.json, model.safetensors and the model card README.md; return the folder.

        license, datasets: for the card, as the hub spells them ("apache-2.0"). Only for weights of
            your own: those of the zoo know theirs, and their measured figures.

        A README.md that zoo did not write is left as it is.
        Raises InputError for what can't be saved, and for a licence of weights that have one.
        """
        path: Path = _hub().save_pretrained(self, folder, license=license, datasets=datasets)
        return path

    def push_to_hub(
        self,
        repo: str,
        *,
        revision: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "Upload model",
        license: str | None = None,
        datasets: Names = (),
    ) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face repository "org/repo".

        One commit; a model card that is there is replaced. The repository, and the branch
        `revision`, are created if they do not exist. Returns the URL of the commit.
        Raises WeightsError when the hub refuses or cannot be reached, and what `save_pretrained`
        raises.
        """
        url: str = _hub().push_to_hub(
            self,
            repo,
            revision=revision,
            private=private,
            token=token,
            commit_message=commit_message,
            license=license,
            datasets=datasets,
        )
        return url


def _hub() -> Any:
    """Return the module that loads and describes models; it imports this one."""
    return importlib.import_module("zoo.hub")


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
