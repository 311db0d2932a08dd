"""Models to and from the Hugging Face hub, under the names that its users know."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from zoo.card import card, write_card
from zoo.create import load_source
from zoo.errors import InputError, WeightsError, did_you_mean
from zoo.model import ZooModel
from zoo.registry import list_models
from zoo.sources import Source, folder_source, hub_source
from zoo.store.folder import save_model
from zoo.store.hub import PREFIX, HubRepo, parse_hub_name, upload

M = TypeVar("M", bound=ZooModel)


def from_pretrained(
    cls: type[M],
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
) -> M:
    """Return the model of a repository or a folder, see `ZooModel.from_pretrained`."""
    folder = Path(name)
    if isinstance(name, os.PathLike) or folder.is_dir():
        if revision is not None:
            raise InputError(f"{folder} is a folder, which has no revision {revision!r}.")
        source = folder_source(folder)
    else:
        repo, given = _repo_of(name)
        if given is not None and revision is not None:
            raise InputError(f"{name} names its revision already: revision={revision!r} must go.")
        source = hub_source(
            HubRepo(
                name=repo,
                revision=revision or given or "main",
                token=token,
                cache_dir=None if cache_dir is None else Path(cache_dir),
                local_files_only=local_files_only,
            )
        )
    return _load(cls, source)


def save_pretrained(
    model: ZooModel,
    folder: str | os.PathLike[str],
    *,
    repo: str | None = None,
    license: str | None = None,
    datasets: Sequence[str] = (),
) -> Path:
    """Write a model and its card, see `ZooModel.save_pretrained`; repo: for the card's example."""
    text = card(model, repo=repo, license=license, datasets=datasets)
    path = save_model(model, Path(folder))
    write_card(text, path)
    return path


def push_to_hub(
    model: ZooModel,
    repo: str,
    *,
    revision: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = "Upload model",
    license: str | None = None,
    datasets: Sequence[str] = (),
) -> str:
    """Upload a model and its card, see `ZooModel.push_to_hub`."""
    name, given = _repo_of(repo)
    if given is not None:
        raise InputError(f"{repo} names a revision: pass revision={given!r} instead.")
    with tempfile.TemporaryDirectory() as folder:
        path = save_pretrained(model, folder, repo=name, license=license, datasets=datasets)
        return upload(
            path,
            name,
            private=private,
            token=token,
            revision=revision,
            commit_message=commit_message,
        )


def _repo_of(name: str) -> tuple[str, str | None]:
    """Split "org/repo", which "hf-hub:" may precede and "@revision" follow."""
    if re.match(r"[\w-][\w.-]*/", name):
        return parse_hub_name(PREFIX + name)
    if name.startswith(PREFIX):
        return parse_hub_name(name)
    architecture = name.partition(".")[0]
    if architecture in list_models():
        raise WeightsError(f"{name} is a model of this package: zoo.load_model({name!r}) loads it.")
    near = did_you_mean(architecture, list_models())
    raise WeightsError(f"{name} is neither a folder nor a repository, 'org/repo'.{near}")


def _load(cls: type[M], source: Source) -> M:
    model = load_source(source)
    if not isinstance(model, cls):
        raise WeightsError(
            f"{source.label} holds {source.architecture}, a {type(model).__name__},"
            f" not a {cls.__name__}; ZooModel.from_pretrained loads any."
        )
    return model
