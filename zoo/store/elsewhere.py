"""Where weight files lie that this copy of zoo does not hold.

A clone of the repository holds all of them. The wheel, and the archive that torch.hub fetches from
GitHub, leave the largest out. They are looked for, in this order,

1. where `$ZOO_WEIGHTS` says: a folder with the files, or the https address of one;
2. in the repository that torch.hub fetched this copy from;
3. in the clone or repository that pip installed this copy from;
4. in the repository that `[project.urls]` of pyproject.toml names, at the tag of this version.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

GITHUB = "https://raw.githubusercontent.com"


def places(file: str) -> Iterator[str]:
    """Yield the paths and addresses where a file of zoo/pretrained/ may lie, likely ones first."""
    if given := os.environ.get("ZOO_WEIGHTS"):
        yield f"{given.rstrip('/')}/{file}"
    roots = [*of_hub(Path(__file__).parents[2])]
    with suppress(PackageNotFoundError):
        roots += of_pip(distribution("zoo-models"))
    yield from (f"{root}/zoo/pretrained/{file}" for root in roots)


def of_hub(folder: Path) -> Iterator[str]:
    """Yield the addresses that torch.hub may have fetched a folder from; none for other folders.

    It names its folders owner_repository_branch. An owner has no underscore, the others may.
    """
    import torch

    if folder.parent.resolve() != Path(torch.hub.get_dir()).resolve():
        return
    owner, *words = folder.name.split("_")
    for i in range(len(words) - 1, 0, -1):
        yield f"{GITHUB}/{owner}/{'_'.join(words[:i])}/{'_'.join(words[i:])}"


def of_pip(package: Distribution) -> Iterator[str]:
    """Yield where pip took an installed package from, and where its releases are at home."""
    source = json.loads(package.read_text("direct_url.json") or "{}")  # PEP 610
    if "dir_info" in source:
        yield url2pathname(urlsplit(source["url"]).path)
    elif "vcs_info" in source:
        yield from _on_github(source["url"], source["vcs_info"]["commit_id"])
    named = dict(entry.split(", ", 1) for entry in package.metadata.get_all("Project-URL") or ())
    yield from _on_github(named.get("Repository", ""), f"v{package.version}")


def _on_github(url: str, revision: str) -> Iterator[str]:
    if match := re.match(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?$", url):
        yield f"{GITHUB}/{match[1]}/{revision}"
