"""Resolve the name of a model or of weights, by its form, to a source of weights.

A model:
    "srresnet_x4"                an architecture
    "srresnet_x4.psnr"           an architecture with the tag of weights
    "hf-hub:org/repo@revision"   a Hugging Face folder: config.json and model.safetensors
    "./folder", Path("folder")   the same on this machine, as `save_model` writes it

Its weights:
    "psnr", "default"            a tag: a file of the package, of a clone, of the cache or of https
    "https://…/x.safetensors"    a file; `#sha256=…` at the end pins it
    "x.safetensors"              a local file
    a folder or "hf-hub:…"       as above
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from zoo.errors import OptionError, UnknownNameError, WeightsError
from zoo.registry import PRETRAINED, Weights, get_model, get_weights, list_models
from zoo.store.download import (
    cache_folder,
    check_url,
    fetch,
    fetch_latest,
    verify,
)
from zoo.store.elsewhere import places
from zoo.store.folder import CONFIG_FILE, WEIGHTS_FILE, read_config
from zoo.store.hub import PREFIX, HubRepo, parse_hub_name
from zoo.store.state_dict import PICKLE_SUFFIXES, check_suffix

Name = str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """Weights of a model that are not fetched yet."""

    label: str  # its name in messages
    architecture: str
    fetch: Callable[[], Path]  # returns the file, downloaded if need be
    options: Mapping[str, Any] = field(default_factory=dict)  # builder options the weights fix
    image_size: int | None = None  # side of the square training images in pixels
    split: Mapping[str, Any] | None = None  # of the training data, see ZooModel

    def options_with(self, asked: Mapping[str, Any], *, new_head: bool = False) -> dict[str, Any]:
        """Return the options that the weights fix, merged with those in `asked`.

        new_head: allow another number of classes.
        Raises OptionError where the two contradict each other, and for `encoder_weights`, which
        the weights of the whole model would replace.
        """
        if asked.get("encoder_weights") is not None:
            raise OptionError(
                f"{self.label} holds the encoder's weights: leave encoder_weights out."
            )
        for option, value in self.options.items():
            if option not in asked or _alike(asked[option], value):
                continue
            if option != "classes":
                raise OptionError(
                    f"{self.label} was made with {option}={value!r}, which cannot be combined"
                    f" with {option}={asked[option]!r}; without weights (torch.hub:"
                    " pretrained=False) the model starts at random."
                )
            if not new_head:
                raise OptionError(
                    f"{self.label} was made with classes={value!r}: for"
                    f" classes={asked[option]!r} pass head='new', which keeps all weights but"
                    " those of the last layer, or no weights (torch.hub: pretrained=False)."
                )
        return {**self.options, **asked}


def resolve(name: Name, weights: Name | Weights | None = None) -> tuple[str, Source | None]:
    """Return the architecture of a model, and the source of its weights, None if none are named.

    Raises UnknownNameError for a name that is not registered, OptionError where `name` and
    `weights` both name weights, WeightsError for a folder that is incomplete and for a file that
    is none.
    """
    if reason := _no_model(name):
        raise WeightsError(f"{name} {reason}.")
    if names_folder(name):
        source = folder_source(name)
        if weights is not None:
            raise OptionError(f"{source.label} has weights of its own: weights= must go.")
        return source.architecture, source
    architecture, dot, tag = str(name).partition(".")
    get_model(architecture)
    if dot and weights is not None:
        raise OptionError(f"{name!r} names its weights already: weights={weights!r} must go.")
    if dot and not tag:
        raise UnknownNameError(f"{name!r} names no weights: put a tag behind the dot, or no dot.")
    weights = tag or weights
    return architecture, None if weights is None else find_source(architecture, weights)


def is_onnx(name: object) -> bool:
    """Return whether `name` is that of an ONNX file, such as "srresnet_x4.onnx"."""
    return isinstance(name, str | os.PathLike) and str(name).lower().endswith(".onnx")


def _no_model(name: Name) -> str | None:
    """Return what a file is that holds no model of ours, and what takes it; None for others."""
    path = Path(name)
    suffix = path.suffix.lower()
    if str(name).startswith("hf-hub:") or path.is_dir():
        return None
    if suffix == ".onnx":
        return (
            "is an ONNX file, which has no layers to load or train; zoo.upscale, zoo.segment and"
            " their commands run it"
        )
    if suffix == ".pt2":
        return "is a file for torch.export.load; of exported files zoo runs *.onnx"
    if suffix in PICKLE_SUFFIXES:
        return "is a file of weights alone; `zoo convert` makes a model of some"
    return None


def names_folder(name: Name) -> bool:
    """Return whether `name` is a folder or a Hugging Face repository, not a registered model.

    A path object is always a folder. A string that is a registered name is always the model, even
    if a folder of that name exists.
    """
    if not isinstance(name, str):
        return True
    if name.startswith(PREFIX):
        return True
    if name.partition(".")[0] in list_models():
        return False
    return name.startswith(".") or Path(name).is_dir() or len(Path(name).parts) > 1


def absolute_name(name: Name) -> Name:
    """Return the name of a model such that it means the same in another working folder."""
    if is_onnx(name) or (names_folder(name) and not str(name).startswith("hf-hub:")):
        return str(Path(name).absolute())
    return name


def find_source(architecture: str, weights: Name | Weights) -> Source:
    """Return the source of `weights` for an architecture.

    Raises UnknownNameError for an unknown tag, WeightsError for a file of another format or for
    weights of another architecture.
    """
    if isinstance(weights, Weights):
        return _registered(architecture, weights)
    text = os.fspath(weights)
    if isinstance(weights, str) and _is_tag(text):
        tag = "default" if text == "DEFAULT" else text  # torchvision's spelling
        return _registered(
            architecture, get_weights(tag if "." in tag else f"{architecture}.{tag}")
        )
    if text.startswith(PREFIX) or Path(text).is_dir():
        source = folder_source(text)
        if source.architecture != architecture:
            raise WeightsError(
                f"{source.label} holds weights of {source.architecture}, not of {architecture}."
            )
        return source
    if "://" in text:
        return _url(architecture, text)
    check_suffix(text)
    return Source(text, architecture, partial(Path, text))


def folder_source(place: Name) -> Source:
    """Return the source of a folder with config.json and model.safetensors, local or "hf-hub:…".

    Raises WeightsError if the folder is missing or its config.json is not zoo's, UnknownNameError
    if it names a model that is not registered.
    """
    label = os.fspath(place)
    if label.startswith(PREFIX):
        name, revision = parse_hub_name(label)
        return hub_source(HubRepo(name=name, revision=revision or "main"))
    if isinstance(place, str) and not Path(label).exists() and (hint := _hub_name_for(label)):
        raise WeightsError(f"There is no folder {label}. Did you mean {hint!r}?")
    return _of_config(Path(label) / CONFIG_FILE, label, partial(Path, label, WEIGHTS_FILE))


def hub_source(repo: HubRepo) -> Source:
    """Return the source of a Hugging Face repository; its weights are of the same commit.

    Raises what `folder_source` does.
    """
    config = repo.fetch(CONFIG_FILE)
    exact = replace(repo, revision=config.parent.name)
    return _of_config(config, str(exact), partial(exact.fetch, WEIGHTS_FILE))


def _of_config(file: Path, label: str, fetch_weights: Callable[[], Path]) -> Source:
    config = read_config(file, label)
    try:
        get_model(config.architecture)
    except UnknownNameError as error:
        raise UnknownNameError(f"{file.name} of {label}: {error}") from error
    return Source(
        label, config.architecture, fetch_weights, config.options, config.image_size, config.split
    )


def _hub_name_for(text: str) -> str | None:
    """Return "hf-hub:org/repo" for the ways in which other programs write it."""
    match = re.fullmatch(r"(?:hf:|hf://|https://huggingface\.co/)?([\w-][\w.-]*/[\w.@-]+)", text)
    return f"{PREFIX}{match[1]}" if match else None


def _alike(asked: Any, fixed: Any) -> bool:
    """Whether two values of an option are equal, a list being as good as a tuple."""
    pair = [tuple(value) if isinstance(value, list) else value for value in (asked, fixed)]
    return bool(pair[0] == pair[1])


def _is_tag(text: str) -> bool:
    """Whether the text is "tag" or "architecture.tag" rather than a file name."""
    head, dot, tail = text.rpartition(".")
    if dot:
        return head in list_models() and f".{tail}" not in (".safetensors", *PICKLE_SUFFIXES)
    return re.fullmatch(r"\w+", text) is not None


def _registered(architecture: str, weights: Weights) -> Source:
    if weights.architecture != architecture:
        raise WeightsError(
            f"{weights.name} holds weights of {weights.architecture}, not of {architecture}."
        )
    meta = weights.meta
    find = partial(_find, weights)
    return Source(weights.name, architecture, find, meta.options, meta.image_size, meta.split)


def is_present(weights: Weights) -> bool:
    """Return whether the file of registered weights is on this machine."""
    return _local(weights) is not None or _cached(weights).is_file()


def _find(weights: Weights) -> Path:
    if (file := _local(weights)) is not None:
        verify(file, weights.sha256, remedy="copy it again, or install zoo again")
        return file
    target = _cached(weights)
    urls = [place for place in _places(weights) if "://" in place]
    if not urls and not target.is_file():
        raise WeightsError(
            f"{weights.name} ({weights.size / 1e6:.0f} MB) is not in this copy of zoo: let"
            f" ZOO_WEIGHTS name the folder zoo/pretrained of a clone, or its https address, or put"
            f" {weights.file} from there at {target} (sha256 {weights.sha256})."
        )
    return fetch(urls, target, sha256=weights.sha256, label=weights.name)


def _places(weights: Weights) -> Iterator[str]:
    """Yield the paths and addresses of registered weights, in the order to try them."""
    if weights.file is not None:
        yield str(PRETRAINED / weights.file)
        yield from places(weights.file)
    yield from weights.urls


def _local(weights: Weights) -> Path | None:
    files = (Path(place) for place in _places(weights) if "://" not in place)
    return next((file for file in files if file.is_file()), None)


def _cached(weights: Weights) -> Path:
    return cache_folder() / f"{weights.name}-{weights.sha256[:8]}.safetensors"


def _url(architecture: str, text: str) -> Source:
    check_url(text)
    url, _, fragment = text.partition("#")
    file = PurePosixPath(urlsplit(url).path)
    check_suffix(file.name)
    pinned = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
    if fragment and not pinned:
        raise WeightsError(f"{text}: after # only sha256=<64 hexadecimal digits> is accepted.")
    prefix = pinned[1] if pinned else hashlib.sha256(url.encode()).hexdigest()
    target = cache_folder() / f"{file.stem}-{prefix[:8]}.safetensors"
    if pinned:
        return Source(url, architecture, partial(fetch, [url], target, sha256=prefix, label=url))
    return Source(url, architecture, partial(fetch_latest, url, target))
