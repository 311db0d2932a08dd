"""Files of repositories on the Hugging Face hub: fetched, checked, uploaded.

The hub's own client does the work and keeps the cache. Here its errors become sentences.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import WeightsError, did_you_mean
from zoo.store.download import reason_of, sha256_of

PREFIX = "hf-hub:"
_TIMEOUT = 10  # seconds until the hub counts as out of reach
_LOG_IN = "log in by `hf auth login` or set HF_TOKEN"


@dataclass(frozen=True, kw_only=True)
class HubRepo:
    """One revision of the Hugging Face repository "org/repo", and how it is asked for.

    revision: a branch, a tag or a commit.
    token: of an account that may see it; None for the one of `hf auth login` or HF_TOKEN, if any.
    cache_dir: of the hub's client; None for its own (HF_HOME).
    local_files_only: take files from the cache alone.
    """

    name: str
    revision: str = "main"
    token: str | None = None
    cache_dir: Path | None = None
    local_files_only: bool = False

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}@{self.revision}"

    def fetch(self, file: str) -> Path:
        """Return the local path of a file, downloaded if the cache lacks this revision of it.

        The path ends in `snapshots/<commit>/<file>`: the name of its parent is the exact revision.
        Large files have their sha256 on the hub and are checked against it, cached or not.
        Raises WeightsError if the file can't be fetched, or is damaged: then it is deleted.
        """
        from huggingface_hub import hf_hub_download

        try:
            etag = None if self._is_cached(file) or self.local_files_only else self.ask(file)
            path = Path(
                hf_hub_download(
                    self.name,
                    file,
                    revision=self.revision,
                    token=self.token,
                    cache_dir=self.cache_dir,
                    local_files_only=self.local_files_only,
                )
            )
        except Exception as error:  # the client's own errors and those of its HTTP library
            raise WeightsError(
                f"{file} of {self} could not be fetched: {self._reason(error)}."
            ) from error
        _check(path, etag)
        return path

    def ask(self, file: str) -> str | None:
        """Ask the hub for a file with a short limit, and return its ETag.

        The client alone would try again for minutes. Raises WeightsError without an answer, and
        the client's own error where the answer is no.
        """
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        url = hf_hub_url(self.name, file, revision=self.revision)
        try:
            return get_hf_file_metadata(url, token=self.token, timeout=_TIMEOUT).etag
        except (HfHubHTTPError, OfflineModeIsEnabled):
            raise
        except Exception as error:  # of its HTTP library
            raise WeightsError(
                f"no answer from the hub: {reason_of(error)}; a folder with config.json and"
                " model.safetensors, copied by hand, loads as well"
            ) from error

    def _is_cached(self, file: str) -> bool:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(
            self.name, file, revision=self.revision, cache_dir=self.cache_dir
        )
        return isinstance(found, str)

    def _reason(self, error: Exception) -> str:
        """Say why a file could not be had, in half a sentence."""
        from huggingface_hub import errors

        if isinstance(error, errors.OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE forbids the network, and the cache does not hold it"
        if isinstance(error, errors.LocalEntryNotFoundError) and self.local_files_only:
            return "local_files_only forbids the network, and the cache does not hold it"
        if isinstance(error, errors.RevisionNotFoundError):
            known = self._revisions()
            has = f" It has {', '.join(known)}" if known else ""
            near = did_you_mean(self.revision, known)
            return f"the repository has no revision {self.revision!r}.{near}{has}".rstrip(".")
        if isinstance(error, errors.RepositoryNotFoundError) and _status(error) == 401:
            return f"it is private or does not exist (401); to see it takes a token: {_LOG_IN}"
        return _refusal(error, self.name)

    def _revisions(self) -> list[str]:
        """Return the names of branches and tags; none if the hub does not tell."""
        from huggingface_hub import HfApi

        with suppress(Exception):  # a better message is all that is lost
            refs = HfApi(token=self.token).list_repo_refs(self.name)
            return [ref.name for ref in (*refs.branches, *refs.tags)]
        return []


def parse_hub_name(name: str) -> tuple[str, str | None]:
    """Split "hf-hub:org/repo@revision" into "org/repo" and the revision, None if left out.

    Raises WeightsError for another form.
    """
    match = re.fullmatch(rf"{PREFIX}([\w.-]+/[\w.-]+)(?:@(\S+))?", name)
    if not match:
        raise WeightsError(f"{name} is not of the form {PREFIX}org/repo@revision.")
    return match[1], match[2]


def check_hub(repo: str, revision: str, file: str) -> None:
    """Raise WeightsError if the Hugging Face hub can't be reached and its cache lacks the file.

    What the hub answers does not matter: the request that follows tells.
    """
    from huggingface_hub.errors import HfHubHTTPError

    place = HubRepo(name=repo, revision=revision)
    if not place._is_cached(file):
        with suppress(HfHubHTTPError):
            place.ask(file)


def upload(
    folder: Path,
    repo: str,
    *,
    private: bool | None,
    token: str | None,
    revision: str | None,
    commit_message: str,
) -> str:
    """Put the files of a folder into a repository in one commit; return the commit's URL.

    The repository, and the branch `revision`, are created if they do not exist.
    Raises WeightsError when the hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(token=token)
    files = [CommitOperationAdd(file.name, str(file)) for file in sorted(folder.iterdir())]
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        commit = api.create_commit(repo, files, commit_message=commit_message, revision=revision)
    except Exception as error:  # the client's own errors and those of its HTTP library
        raise WeightsError(f"{repo} could not be uploaded: {_refusal(error, repo)}.") from error
    return str(commit.commit_url)


def _refusal(error: Exception, repo: str) -> str:
    """Say what the hub's answer means; of other errors, give the first line."""
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids the network"
    if isinstance(error, errors.GatedRepoError):
        return f"its owner grants access on request; ask on the page of {repo}, and log in"
    match _status(error):
        case 401:
            return f"the hub wants a valid token (401): {_LOG_IN}"
        case 403:
            return f"the token does not allow it (403): {_LOG_IN}"
        case 404 if isinstance(error, errors.RepositoryNotFoundError):
            return f"the hub has no repository {repo} (404), or hides it from this token"
        case 404 if isinstance(error, errors.EntryNotFoundError):
            return "the repository has no such file (404)"
    return reason_of(error)


def _status(error: Exception) -> int | None:
    """Return the status of an HTTP answer; None for other errors."""
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def _check(path: Path, etag: str | None) -> None:
    """Raise WeightsError, and delete the file, where it is not what its sha256 on the hub says.

    The cache names a large file by its sha256. A link is followed once: the file of that name may
    be a link itself, into a store that names files by another hash.
    """
    blob = path.parent / path.readlink() if path.is_symlink() else path
    expected = next((h for h in (blob.name, etag or "") if re.fullmatch("[0-9a-f]{64}", h)), None)
    if expected is None or (actual := sha256_of(blob)) == expected:
        return
    with suppress(OSError):  # a cache that can't be written to
        for damaged in (blob.resolve(), blob, path):
            damaged.unlink(missing_ok=True)
    todo = "delete it, and" if path.exists() else "it was deleted, and"
    raise WeightsError(
        f"{path} is truncated or altered: its sha256 begins with {actual[:16]} and should begin"
        f" with {expected[:16]}; {todo} the next call downloads it again."
    )
