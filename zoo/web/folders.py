"""Where the files of visitors lie while they are here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from zoo.errors import InputError


@contextmanager
def while_here(folder: Path) -> Iterator[None]:
    """Raise InputError where a job fails because its visitor left, and the folder with them."""
    try:
        yield
    except OSError:
        check_here(folder)
        raise


def check_here(folder: Path) -> None:
    """Raise InputError if the visitor whose job writes to a folder has left; nobody reads it."""
    if not folder.is_dir():
        raise InputError("The page was closed.")


class Folders:
    """One folder for each visitor below a root, and what each brought; gone with the visitor.

    A visitor is any text that the browser sends, so no path is made of it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = Lock()
        self._homes: dict[str, Path] = {}
        self._uploads: dict[str, set[Path]] = {}

    def fresh(self, visitor: str, job: str) -> Path:
        """Return an empty folder for a visitor's job; what the same job left before is deleted.

        Its name is new each time, so that no browser shows a former picture of the same name.
        """
        with self._lock:
            home = self._homes.get(visitor)
            if home is None:
                home = Path(tempfile.mkdtemp(prefix="visitor-", dir=self.root))
                self._homes[visitor] = home
            for former in home.glob(f"{job}-*"):
                shutil.rmtree(former, ignore_errors=True)
            return Path(tempfile.mkdtemp(prefix=f"{job}-", dir=home))

    def note(self, visitor: str, upload: str | None) -> None:
        """Remember a file that a visitor brought."""
        if upload:
            with self._lock:
                self._uploads.setdefault(visitor, set()).add(Path(upload))

    def forget(self, visitor: str) -> None:
        """Delete all that is a visitor's."""
        with self._lock:
            home, uploads = self._homes.pop(visitor, None), self._uploads.pop(visitor, set())
        for upload in uploads:
            upload.unlink(missing_ok=True)
        if home:
            shutil.rmtree(home, ignore_errors=True)
