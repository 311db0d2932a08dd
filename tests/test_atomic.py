"""Files appear whole or not at all, and what killed processes leave goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import smooth_pixels

import zoo
from zoo.pictures.files import write_image
from zoo.pictures.formats import FORMATS, WRITABLE
from zoo.pictures.large.scratch import ScratchArray
from zoo.pictures.picture import Picture
from zoo.store.atomic import obstacle, replacing, sweep, temporary

HOLD = """
import sys
from pathlib import Path
from zoo.store.atomic import replacing
with replacing(Path(sys.argv[1], "result.txt")) as part:
    part.write_text("half")
    print("written", flush=True)
    sys.stdin.read()
"""
SWEEP = """
import sys
from pathlib import Path
from zoo.store.atomic import sweep
sweep(Path(sys.argv[1]))
"""


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "result.txt"
    file.write_text("old")
    with pytest.raises(FileExistsError), replacing(file) as part:
        part.mkdir()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == b"written\n"
    killed, live = processes
    assert len(list(tmp_path.iterdir())) == 2
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    live.communicate()
    assert [file.name for file in tmp_path.iterdir()] == ["result.txt"]
    assert (tmp_path / "result.txt").read_text() == "half"


def test_sweeping_spares_all_that_is_not_ours(tmp_path: Path) -> None:
    names = [".hidden", "a.part", ".part", ".0123.part.png", ".0123456789abcdef.partial"]
    for name in names:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)


def test_a_folder_is_swept_once_and_may_be_missing(tmp_path: Path) -> None:
    sweep(tmp_path / "missing")
    sweep(tmp_path)
    left = tmp_path / f".{16 * '0'}.part"
    left.touch()
    sweep(tmp_path)
    assert left.exists()  # one look costs enough where there are millions of files


def test_what_goes_while_it_is_swept_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f".{16 * '0'}.part").touch()
    scan = os.scandir

    def late(folder: Path) -> list[os.DirEntry[str]]:
        entries = list(scan(folder))
        for entry in entries:
            Path(entry.path).unlink()
        return entries

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", late)
        sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_temporary_names_are_those_that_are_swept(tmp_path: Path) -> None:
    paths = [temporary(tmp_path, ending) for ending in ("part.png", "scratch")]
    for path in paths:
        path.touch()
    subprocess.run([sys.executable, "-c", SWEEP, tmp_path], check=True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    assert obstacle(file, overwrite=False) is None
    file.touch()
    assert obstacle(file, overwrite=True) is None
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "nowhere")  # it would be replaced
    for path, overwrite, said in (
        (link, False, "the file exists"),
        (file, False, "the file exists"),
        (tmp_path, True, "it is a folder"),
        (tmp_path / "no" / "a.png", True, "no does not exist"),
        (file / "b.png", True, "a.png does not exist"),
        (tmp_path / ("a" * 300), False, "no file can have this name"),
        (tmp_path / "a\0b", False, "no file can have this name"),
    ):
        assert said in (obstacle(path, overwrite=overwrite) or "")


def test_folders_and_scratch_files_of_killed_processes_go(tmp_path: Path) -> None:
    left = tmp_path / ".0123456789abcdef.part"
    left.mkdir()
    (left / "config.json").touch()
    (tmp_path / ".fedcba9876543210.scratch").touch()
    array = ScratchArray(tmp_path, (4, 4, 1), "uint8")
    assert list(tmp_path.iterdir()) == [array.path]


def test_a_scratch_file_in_use_stays(tmp_path: Path) -> None:
    array = ScratchArray(tmp_path, (4, 4, 1), "uint8")
    code = (
        "import pathlib, sys; from zoo.store.atomic import sweep; sweep(pathlib.Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
    assert array.path.exists()


@pytest.mark.parametrize("name", WRITABLE)
def test_every_format_is_written_into_the_file_that_is_locked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that made a file of its own would lose the lock and the flush to the disk."""
    flushed = set()
    fsync = os.fsync

    def note(file: int) -> None:
        flushed.add(os.fstat(file).st_ino)
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    file = tmp_path / f"picture{FORMATS[name].suffixes[0]}"
    write_image(Picture(smooth_pixels(9, 8)), file)
    assert file.stat().st_ino in flushed


def test_models_and_exports_are_written_into_files_that_are_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = set()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (flushed.add(os.fstat(file).st_ino), fsync(file)))
    model = zoo.create_model("srresnet_x2", depth=1, width=4)
    zoo.save_model(model, tmp_path)
    zoo.export_model(model, tmp_path / "model.onnx")
    written = list(tmp_path.iterdir())
    assert len(written) == 3
    assert {file.stat().st_ino for file in written} <= flushed
