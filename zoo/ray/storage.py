"""Local folders and addresses such as s3://: find photographs, read one, write a result."""

from __future__ import annotations

import functools
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import fsspec
import pyarrow as pa
from pyarrow import fs

from zoo.errors import ImageError, InputError, MissingDependencyError, ZooError, did_you_mean
from zoo.pictures.files import find_images, is_address
from zoo.pictures.formats import FORMATS, SUFFIXES

# In these a file appears when its stream is closed; in others it grows under its name.
_WHOLE_AT_CLOSE = ("s3", "gcs")
_PASSWORD = re.compile(r"//[^/@]*:[^/@]*@")


@dataclass(frozen=True)
class Storage:
    """A file system, local or at an address.

    prefix: what stands before a path of it in an address; "" for the local one. It holds no
        password.
    """

    filesystem: fs.FileSystem
    prefix: str = ""

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def label(self, path: str) -> str:
        """Return how messages and reports name a path."""
        return self.prefix + path

    def find(self, path: str) -> list[tuple[str, str]]:
        """List the pictures of a folder and its subfolders as (path, its path in the folder).

        A file is listed as it is, with its bare name. The rules are those of `find_images`; pipes
        and devices in a folder are left out.
        Raises ImageError for a folder without pictures, and if nothing is there.
        """
        if self.is_local:
            found = find_images([path])
            return [
                (str(file), relative.as_posix())
                for file, relative in found
                if str(file) == path or file.is_file() or not file.exists()
            ]
        with self._named(path, "can't be listed"):
            info = self.filesystem.get_file_info(path)
            if info.type == fs.FileType.NotFound:
                raise ImageError("there is no such file or folder.")
            if info.type == fs.FileType.File:
                return [(path, PurePosixPath(path).name)]
            files = self.filesystem.get_file_info(fs.FileSelector(path, recursive=True))
            start = len(path.rstrip("/")) + 1
            names = sorted(file.path[start:] for file in files if file.type == fs.FileType.File)
            pictures = [(join(path, name), name) for name in names if _is_picture(name)]
            if not pictures:
                raise ImageError(f"the folder has no image in it ({', '.join(FORMATS)}).")
            return pictures

    def exists(self, path: str) -> bool:
        """Return whether a file or a folder is there; raise ImageError if that can't be told."""
        with self._named(path, "can't be looked up"):
            return bool(self.filesystem.get_file_info(path).type != fs.FileType.NotFound)

    @contextmanager
    def reading(self, path: str) -> Iterator[Path]:
        """Yield a local file with the contents of a path; errors name the path.

        Raises ImageError if it can't be read.
        """
        if self.is_local:
            yield Path(path)
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "input" + PurePosixPath(path).suffix)
            with (
                self._named(path, "can't be read"),
                self.filesystem.open_input_stream(path) as source,
                copy.open("wb") as target,
            ):
                shutil.copyfileobj(source, target)
            try:
                yield copy
            except ZooError as error:
                raise type(error)(str(error).replace(str(copy), self.label(path))) from error

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        """Yield where to write a file locally; it is at the path, whole, when the block succeeds.

        For a local path this is the path itself, in a folder that exists: write it in one go.
        Raises ImageError if it can't be written.
        """
        parent = str(PurePosixPath(path).parent)
        if self.is_local:
            with self._named(parent, "the folder can't be made"):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            yield Path(path)
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "output" + PurePosixPath(path).suffix)
            try:
                yield file
            except ZooError as error:
                raise type(error)(str(error).replace(str(file), self.label(path))) from error
            with self._named(path, "the file can't be written"):
                self._put(file.read_bytes(), path, parent)

    def _put(self, content: bytes, path: str, parent: str) -> None:
        if self.filesystem.type_name in _WHOLE_AT_CLOSE:
            with self.filesystem.open_output_stream(path) as stream:
                stream.write(content)
            return
        self.filesystem.create_dir(parent, recursive=True)
        part = join(parent, f".{secrets.token_hex(8)}.upload")
        try:
            with self.filesystem.open_output_stream(part) as stream:
                stream.write(content)
            self.filesystem.move(part, path)
        except BaseException:
            if self.filesystem.get_file_info(part).type == fs.FileType.File:
                self.filesystem.delete_file(part)
            raise

    @contextmanager
    def _named(self, path: str, trouble: str) -> Iterator[None]:
        """Turn errors of the file system into an ImageError that names the path."""
        try:
            yield
        except ZooError as error:
            raise type(error)(f"{self.label(path)}: {error}") from error
        except FileNotFoundError as error:
            raise ImageError(f"{self.label(path)}: there is no such file.") from error
        except Exception as error:  # the packages behind fsspec raise almost anything
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            reason = " ".join(reason.split()).rstrip(".")
            raise ImageError(f"{self.label(path)}: {trouble} ({reason}).") from error


def open_storage(address: str) -> tuple[Storage, str]:
    """Return the file system of an address, and the path in it; a local path is made absolute.

    address: a local path, or what pyarrow or fsspec take: "s3://bucket/folder",
        "s3://bucket/folder?endpoint_override=localhost:9000&scheme=http", "sftp://host/folder".
    Raises InputError for an address of an unknown kind, MissingDependencyError if its package is
    missing, ImageError if it can't be reached.
    """
    if address.startswith("file://"):
        address = urlsplit(address, allow_fragments=False).path
    if not is_address(address):
        return Storage(fs.LocalFileSystem()), str(Path(address).absolute())
    parts = urlsplit(address, allow_fragments=False)
    query = f"?{parts.query}" if parts.query else ""
    storage, root = _connect(f"{parts.scheme}://{parts.netloc}", query)
    rest = parts.path.strip("/")
    return storage, join(root, rest) if rest else root


def shown(address: str) -> str:
    """Return an address as messages name it: without passwords and options, local ones as given."""
    if not is_address(address):
        return address
    storage, path = open_storage(address)
    return storage.label(path)


def child(address: str, name: str) -> str:
    """Return the address of a file in the folder of an address."""
    folder, mark, options = address.partition("?") if is_address(address) else (address, "", "")
    return join(folder, name) + mark + options


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder."""
    return f"{folder.rstrip('/')}/{name}"


@functools.lru_cache
def _connect(root: str, query: str) -> tuple[Storage, str]:
    """Return the file system of "scheme://host" and the path of its root."""
    name = _PASSWORD.sub("//", root)
    try:
        filesystem, path = _by_pyarrow(root + query) or _by_fsspec(root + query)
    except ImportError as error:
        reason = str(error).rstrip(".")
        raise MissingDependencyError(f"{name}: a package is missing ({reason}).") from error
    except ValueError as error:
        known = ["s3", "gs", "hdfs", *fsspec.available_protocols()]
        scheme = root.partition("://")[0]
        if scheme not in known:
            raise InputError(
                f"{name}: {scheme}:// is no kind of address that pyarrow or fsspec know; accepted "
                f"are local folders, s3://, gs:// and others.{did_you_mean(scheme, known)}"
            ) from error
        raise InputError(f"{name}: this is no address ({error}).") from error
    except Exception as error:  # the packages behind fsspec raise almost anything
        reason = " ".join(str(error).split()).rstrip(".")
        raise ImageError(f"{name}: it can't be reached ({reason}).") from error
    path = path.rstrip("/")
    prefix = name.removesuffix(path) if name.endswith(path) else f"{root.partition('://')[0]}://"
    return Storage(filesystem, prefix), path


def _by_pyarrow(address: str) -> tuple[fs.FileSystem, str] | None:
    try:
        filesystem, path = fs.FileSystem.from_uri(address)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return filesystem, path


def _by_fsspec(address: str) -> tuple[fs.FileSystem, str]:
    filesystem, path = fsspec.core.url_to_fs(address)
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix.lower() in SUFFIXES
