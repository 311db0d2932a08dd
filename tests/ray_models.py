"""A network that tells which photographs it saw, and ends its process at some."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch
from torch import Tensor, nn


class Mortal(nn.Module):
    """Enlarges photographs of one grey level by 2, and writes down the level of each at its end.

    log: a file of levels, one a line. once: the level at which it dies, the first time. always: the
        level at which it dies every time.
    """

    scale = 2

    def __init__(self, log: Path, *, once: int, always: int) -> None:
        super().__init__()
        self.log, self.once, self.always = str(log), once, always

    def forward(self, x: Tensor) -> Tensor:
        level = round(float(x.mean()) * 255)
        if level == self.once:
            flag = Path(self.log).with_suffix(".died")
            if not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if level == self.always:
            os.kill(os.getpid(), signal.SIGKILL)
        with Path(self.log).open("a") as log:  # short lines are appended whole
            log.write(f"{level}\n")
        return torch.nn.functional.interpolate(x, scale_factor=2)
