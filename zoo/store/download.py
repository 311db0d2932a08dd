"""Downloads over https: verified before they get their final name, never half-written."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from zoo.errors import WeightsError
from zoo.store.atomic import replacing

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without a byte
_log = logging.getLogger("zoo")


def cache_folder() -> Path:
    """Return the folder of downloads: `$ZOO_CACHE`, else one under `torch.hub.get_dir()`."""
    if folder := os.environ.get("ZOO_CACHE"):
        return Path(folder).expanduser()
    import torch

    return Path(torch.hub.get_dir()) / "zoo"


def is_offline() -> bool:
    """Return whether `HF_HUB_OFFLINE` forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def check_url(url: str) -> None:
    """Raise WeightsError unless the URL is https, or http to this machine itself."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise WeightsError(f"{url} is refused: weights are fetched from https:// addresses only.")


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def verify(path: Path, sha256: str, *, remedy: str) -> None:
    """Raise WeightsError, which ends in `remedy`, unless the file has this sha256."""
    actual = sha256_of(path)
    if actual != sha256:
        raise WeightsError(
            f"{path} is truncated or altered: its sha256 begins with {actual[:16]}"
            f" and should begin with {sha256[:16]}; {remedy}."
        )


def fetch(urls: Sequence[str], target: Path, *, sha256: str, label: str) -> Path:
    """Return `target`; if it does not exist, download it from the first URL that has the file.

    sha256: verified, also of a file that exists.
    label: name of the weights in messages.
    Raises WeightsError; without a network it says where to put which file by hand.
    """
    if not target.exists():
        reasons = ["HF_HUB_OFFLINE is set"] if is_offline() else []
        for url in () if is_offline() else urls:
            check_url(url)
            try:
                _download(url, target, sha256=sha256)
                break
            except (OSError, HTTPException, WeightsError) as error:
                reasons.append(_why(url, error))
        else:
            raise _unavailable(label, reasons, urls[0], f"{target} (sha256 {sha256})")
    verify(target, sha256, remedy="delete it and it will be downloaded again")
    return target


def fetch_latest(url: str, target: Path) -> Path:
    """Return `target`, the file that `url` serves now; an unchanged one is not downloaded again.

    A note beside the file holds its sha256 and the server's ETag. Without an answer, an intact file
    of last time is returned and a warning logged.
    Raises WeightsError if there is none; it says where to put which file by hand.
    """
    note = target.with_suffix(".etag")
    sha256, _, etag = note.read_text().partition(" ") if note.is_file() else ("", "", "")
    whole = target.is_file() and sha256 in ("", sha256_of(target))  # no note: put there by hand
    check_url(url)
    try:
        if is_offline():
            raise OSError("HF_HUB_OFFLINE is set")
        etag = _download(url, target, etag=etag if whole else "")
    except (OSError, HTTPException, WeightsError) as error:
        if not whole:
            raise _unavailable(url, [_why(url, error)], url, str(target)) from error
        _log.warning("%s; the copy of last time is used: %s", _why(url, error), target)
        return target
    with replacing(note) as part:
        part.write_text(f"{sha256_of(target)} {etag}")
    return target


def reason_of(error: Exception) -> str:
    """Return the first line of an error's message, without its full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _download(url: str, target: Path, *, sha256: str | None = None, etag: str = "") -> str:
    """Download a safetensors file, unless the server says that `etag` is still its ETag.

    Returns the server's ETag, "" if it gives none.
    """
    from safetensors import SafetensorError, safe_open
    from tqdm.auto import tqdm

    target.parent.mkdir(parents=True, exist_ok=True)
    opener = urllib.request.build_opener(_CheckedRedirects)
    request = urllib.request.Request(url, headers={"If-None-Match": etag} if etag else {})
    try:
        response = opener.open(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if error.code == HTTPStatus.NOT_MODIFIED:
            return etag
        raise
    with replacing(target) as part:
        with response, part.open("wb") as file:
            total = int(response.headers.get("Content-Length", 0))
            with tqdm(total=total or None, unit="B", unit_scale=True, desc=target.name) as bar:
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
            if file.tell() < total:
                raise OSError(f"the connection ended after {file.tell()} of {total} bytes")
        if sha256:
            verify(part, sha256, remedy=f"{url} does not serve the file that was published")
        else:
            try:
                with safe_open(part, framework="pt"):
                    pass  # compares the file's length with its header
            except SafetensorError as error:
                raise OSError(f"it serves no whole safetensors file ({error})") from error
    return str(response.headers.get("ETag", ""))


def _why(url: str, error: Exception) -> str:
    return f"{url}: {getattr(error, 'reason', None) or error}"


def _unavailable(label: str, reasons: Sequence[str], url: str, place: str) -> WeightsError:
    return WeightsError(
        f"{label} could not be downloaded ({'; '.join(reasons)});"
        f" fetch {url} by hand and put it at {place}."
    )


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows only redirects that `check_url` accepts."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
