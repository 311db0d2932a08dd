"""From what a user calls weights to a verified file.

"psnr", "default"            a tag: the package's own folder, else the cache, else https
"hf-hub:org/repo@revision"   a Hugging Face folder: config.json and model.safetensors
"https://…/x.safetensors"    a file; `#sha256=…` at the end pins it
"x.safetensors"              a local file
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from zoo.download import cache_folder, check_url, fetch, from_hugging_face, verify
from zoo.errors import OptionError, WeightsError
from zoo.registry import list_models
from zoo.statedict import PICKLE_SUFFIXES, check_suffix
from zoo.weights import PRETRAINED, Weights, get_weights

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True)
class Source:
    """Weights that were named, not yet fetched."""

    label: str  # what messages call it
    architecture: str
    fetch: Callable[[], Path]  # the verified file, downloaded if need be
    options: Mapping[str, Any] = field(default_factory=dict)  # builder options the weights fix

    def options_with(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fixed options and those asked for; raise OptionError where they differ, or for
        weights of an encoder, which the whole model's would replace.
        """
        if asked.get("encoder_weights") is not None:
            raise OptionError(
                f"{self.label} holds the encoder's weights: leave encoder_weights out."
            )
        for option, value in self.options.items():
            if option in asked and asked[option] != value:
                raise OptionError(
                    f"{self.label} was made with {option}={value!r}, which cannot be combined"
                    f" with {option}={asked[option]!r}."
                )
        return {**self.options, **asked}


def find_source(architecture: str, weights: str | Path | Weights) -> Source:
    """Return the source of `weights` for a model; what they are is told by their form."""
    if isinstance(weights, Weights):
        return _registered(architecture, weights)
    text = str(weights)
    if text.startswith("hf-hub:"):
        source = folder_source(text)
        if source.architecture != architecture:
            raise WeightsError(
                f"{source.label} holds weights of {source.architecture}, not of {architecture}."
            )
        return source
    if "://" in text:
        return _url(architecture, text)
    if isinstance(weights, str) and _is_tag(weights):
        return _registered(
            architecture, get_weights(text if "." in text else f"{architecture}.{text}")
        )
    check_suffix(text)
    return Source(text, architecture, partial(Path, text))


def folder_source(place: str | Path) -> Source:
    """Return the source of a folder with config.json and model.safetensors, local or "hf-hub:…".

    Raises WeightsError where the folder is missing, or holds no configuration of zoo's.
    """
    if str(place).startswith("hf-hub:"):
        repo, revision = _split_hub_name(str(place))
        config_file = from_hugging_face(repo, revision, CONFIG_FILE)
        commit = config_file.parent.name
        label = f"hf-hub:{repo}@{commit}"
        fetch_file = partial(from_hugging_face, repo, commit, WEIGHTS_FILE)
    else:
        config_file = Path(place) / CONFIG_FILE
        label = str(place)
        fetch_file = partial(Path, place, WEIGHTS_FILE)
    architecture, options = _read_config(config_file, label)
    return Source(label, architecture, fetch_file, options)


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
    return Source(weights.name, architecture, partial(_find, weights), weights.meta.options)


def _find(weights: Weights) -> Path:
    if weights.file is not None:
        bundled = PRETRAINED / weights.file
        if bundled.is_file():
            verify(bundled, weights.sha256, remedy="install zoo again")
            return bundled
        if not weights.urls:
            raise WeightsError(
                f"{bundled} (sha256 {weights.sha256}), the file of {weights.name}, is missing;"
                " install zoo again."
            )
    target = cache_folder() / f"{weights.name}-{weights.sha256[:8]}.safetensors"
    return fetch(weights.urls, target, sha256=weights.sha256, label=weights.name)


def _url(architecture: str, text: str) -> Source:
    check_url(text)
    url, _, fragment = text.partition("#")
    file = PurePosixPath(urlsplit(url).path)
    check_suffix(file.name)
    pinned = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
    if fragment and not pinned:
        raise WeightsError(f"{text}: after # only sha256=<64 hexadecimal digits> is accepted.")
    sha256 = pinned[1] if pinned else None
    prefix = sha256 or hashlib.sha256(url.encode()).hexdigest()
    target = cache_folder() / f"{file.stem}-{prefix[:8]}.safetensors"
    return Source(url, architecture, partial(fetch, [url], target, sha256=sha256, label=url))


def _split_hub_name(name: str) -> tuple[str, str]:
    match = re.fullmatch(r"hf-hub:([\w.-]+/[\w.-]+)(?:@(\S+))?", name)
    if not match:
        raise WeightsError(f"{name} is not of the form hf-hub:org/repo@revision.")
    return match[1], match[2] or "main"


def _read_config(file: Path, label: str) -> tuple[str, dict[str, Any]]:
    if not file.is_file():
        raise WeightsError(
            f"There is no {CONFIG_FILE} in {label}; a model's folder is what save_model writes."
        )
    try:
        config = json.loads(file.read_text())
        architecture, options = config["architecture"], config["options"]
        # JSON has no tuples, options have no lists.
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{CONFIG_FILE} of {label} does not tell the model's architecture and options,"
            " as save_model writes them."
        ) from error
    return str(architecture), options
