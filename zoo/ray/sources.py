"""The photographs of a job as a table: which storage each is in, and what its result is called."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
from ray.data import Dataset

from zoo.errors import ImageError, InputError
from zoo.ray.storage import Storage, open_storage

Address = str | os.PathLike[str]

_COLUMNS = pa.schema(
    {"storage": pa.int32(), "path": pa.string(), "relative": pa.string(), "source": pa.string()}
)


@dataclass(frozen=True)
class Sources:
    """The photographs of a job.

    storages: the file systems that they are in.
    table: `storage`, an index of these; `path` in it; `relative`, the path of the result in the
        folder of results, but for its suffix; `source`, the name in messages and reports.
    """

    storages: list[Storage]
    table: pa.Table


def list_sources(dataset: Dataset | Address | Iterable[Address], out: str) -> Sources:
    """List photographs; earlier results in the folder `out` are no sources.

    dataset: a folder or a file, local or at an address, or several; or a Dataset with a column
        `source` of such files, and perhaps a column `relative`.

    Raises ImageError for a folder without photographs, InputError for other datasets and
    addresses.
    """
    storages: list[Storage] = []
    found: dict[tuple[int, str], tuple[str, str]] = {}

    def add(storage: Storage, path: str, relative: str) -> None:
        if storage not in storages:
            storages.append(storage)
        label = storage.label(path)
        found.setdefault((storages.index(storage), path), (relative, label))

    if isinstance(dataset, Dataset):
        for address, name in _rows(dataset):
            storage, path = open_storage(address)
            add(storage, path, name or PurePosixPath(path).name)
    else:
        results, folder = open_storage(out)
        for root in [dataset] if isinstance(dataset, str | os.PathLike) else dataset:
            storage, path = open_storage(os.fspath(root))
            nested = _inside(folder, path, storage) if storage == results else None
            for file, relative in storage.find(path):
                if nested is None or not relative.startswith(nested):
                    add(storage, file, relative)
    if not found:
        raise ImageError(f"There is no photograph but earlier results in {out}.")
    indices, paths = zip(*found, strict=True)
    relatives, labels = zip(*found.values(), strict=True)
    return Sources(storages, pa.table([indices, paths, relatives, labels], schema=_COLUMNS))


def _rows(dataset: Dataset) -> Iterable[tuple[str, str | None]]:
    columns = dataset.columns() or []
    if "source" not in columns:
        raise InputError(
            "A Dataset of photographs has a column 'source' with their addresses, "
            f"not only {', '.join(columns) or 'none'}."
        )
    wanted = dataset.select_columns([name for name in ("source", "relative") if name in columns])
    for row in wanted.iter_rows():
        relative = row.get("relative")
        if relative is not None and (
            ".." in PurePosixPath(relative).parts or PurePosixPath(relative).is_absolute()
        ):
            raise InputError(f"relative={relative!r} leads out of the folder of results.")
        yield row["source"], relative


def _inside(folder: str, path: str, storage: Storage) -> str | None:
    """Return where a folder lies in another one, with a slash at its end; None if it does not."""
    if storage.is_local:
        folder, path = Path(folder).resolve().as_posix(), Path(path).resolve().as_posix()
    start = path.rstrip("/") + "/"
    return folder.removeprefix(start).rstrip("/") + "/" if folder.startswith(start) else None
