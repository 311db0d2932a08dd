"""A command that is asked to end does so in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import files
from PIL import Image

from zoo.pictures.files import read_image

COUNT = 400


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_asked_to_end_leaves_whole_files(
    sign: signal.Signals, status: int, tiny_upscaler: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for index in range(COUNT):
        pixels = np.random.default_rng(index).integers(0, 256, (120, 160, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{index:03}.png")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "zoo", "upscale", tmp_path / "in", "-o", out]
    process = subprocess.Popen(
        [*command, "-m", tiny_upscaler],
        stdout=subprocess.DEVNULL,
        # Whoever runs the tests in the background may have them ignore Ctrl+C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (out.is_dir() and len(files(out)) > 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(sign)
    assert process.wait(60) == status
    done = files(out)
    assert 3 < len(done) < COUNT
    assert not [name for name in done if name.startswith(".")]
    for name in done:
        assert read_image(out / name).pixels.shape == (240, 320, 3)
