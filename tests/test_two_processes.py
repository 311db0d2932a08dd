"""Training in two processes, as `accelerate launch` does it on two GPUs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import reference_loop as plain
import torch
from generated_cars import generate_cars
from reference_loop import Noise, Outcome, distance, recipe_with, reference

import zoo
from zoo.errors import TrainingError
from zoo.train.checkpoints import load_checkpoint
from zoo.train.recipe import load_recipe
from zoo.train.sharing import share_of
from zoo.train.sr_recipe import SRRecipe

ROOT = Path(__file__).parents[1]
PATH = os.pathsep.join(str(ROOT / folder) for folder in ("", "benchmarks", "tests"))

COMMAND = """
import torch, super_resolution
from zoo.train.loop import Trainer

def fit_and_keep(self, task, fit=Trainer.fit, **options):
    over = fit(self, task, **options)
    state = {"weights": self.model.state_dict(), "averaged": self.averaged.module.state_dict()}
    torch.save(state, self.folder / f"rank{self.accelerator.process_index}.pt")
    return over

Trainer.fit = fit_and_keep
super_resolution.app()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["srresnet_x4", "srresnet_x4_perceptual"])
def test_two_processes_train_one_model(name: str, tmp_path: Path) -> None:
    """As `accelerate launch` does on two GPUs: each process draws patches of its own, yet both end
    with the same weights. Which, the next test tells.
    """
    recipe = ROOT / "benchmarks" / "recipes" / f"{name}.yaml"
    (tmp_path / "rank.py").write_text(COMMAND)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(tmp_path / "rank.py"), "train", str(recipe), "--smoke", "--out", str(tmp_path)],
        check=True, capture_output=True,
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": PATH},
    )  # fmt: skip
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    for part, state in first.items():
        assert all(torch.equal(value, second[part][key]) for key, value in state.items())
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history) == 2 * len(load_recipe(recipe, SRRecipe).stages)
    assert zoo.load_model(tmp_path / "best").scale == 4


RANK = """
import sys
from pathlib import Path
import torch
import reference_loop as plain
from zoo.train.loop import Trainer

plain.register()
folder, task, model = Path(sys.argv[1]), plain.Noise(), plain.net()
options = {"clip": 0.5, "stages.0.frozen_statistics": ["norm"], "log_every": 1,
           "stages.1.frozen_statistics": ["norm"], "stages.1.accumulate": 3}
trainer = Trainer(model, plain.recipe_with(options), folder / "run")
assert trainer.fit(task)
rank = trainer.accelerator.process_index
left = {"weights": plain.state_of(model), "averaged": plain.state_of(trainer.averaged.module),
        "history": trainer.history, "batches": task.batches}
torch.save(left, folder / f"{rank}.pt")
"""


def processes(code: str, folder: Path, *, count: int = 2) -> None:
    """Runs Python code in processes that train together, or in a single one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"PYTHONPATH": PATH, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    together = {
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            env=os.environ
            | common
            | (together | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {}),
        )
        for rank in range(count)
    ]
    assert [rank.wait(120) for rank in ranks] == [0] * count


@pytest.mark.slow
def test_two_processes_are_one_with_both_batches(tmp_path: Path, own_registry: None) -> None:
    """Both end with the weights of a single process that saw the batches of both, step by step."""
    plain.register()
    processes(RANK, tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for key in ("weights", "averaged"):
        assert all(torch.equal(first[key][name], second[key][name]) for name in first[key])
    pairs = list(zip(first["batches"], second["batches"], strict=True))
    assert not any(torch.equal(a[0], b[0]) for a, b in pairs)
    joint = [(torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])) for a, b in pairs]
    frozen = {f"stages.{i}.frozen_statistics": ["norm"] for i in range(2)}
    recipe = recipe_with({"clip": 0.5, "log_every": 1} | frozen)
    expected = reference(recipe, Noise(), joint)
    run = Outcome(first["weights"], first["averaged"], expected.best, first["history"])
    assert distance(run, expected) < 1e-5
    alone = reference(recipe, Noise(), first["batches"])
    assert distance(run, alone) > 1e-3
    assert [row["loss"] for row in second["history"]] == [row["loss"] for row in run.history]


EPOCHS = """
import sys
from pathlib import Path
import torch
from tiny_seg import TINY, tiny_net
from zoo.train.loop import Trainer
from zoo.train.segmentation import Segmentation, SegRecipe

folder = Path(sys.argv[1])
stages = [{"size": 32, "batch": 2, "epochs": 4, "lr": 1e-3}]
recipe = SegRecipe.model_validate(TINY | {"stages": stages})
task = Segmentation(recipe, folder / "cars", cache=folder / "cache")
trainer = Trainer(tiny_net(), task.recipe, folder / "run")
assert trainer.fit(task)
torch.save(trainer.step, folder / f"{trainer.accelerator.process_index}.pt")
"""


INTERRUPTED = """
import os, random, sys
from pathlib import Path
import numpy, torch
import reference_loop as plain
import test_resuming
from zoo.train.loop import Trainer

plain.register()
plain.register_model(task="super-resolution")(test_resuming.shaky)
folder, rank = Path(sys.argv[1]), os.environ["RANK"]
recipe = plain.recipe_with({"log_every": 1, "checkpoint_every": 1})

def run(name, *, stop=None, **how):
    torch.manual_seed(0)
    trainer = Trainer(plain.zoo.create_model("shaky"), recipe, folder / name)
    try:
        trainer.fit(plain.Noise(stop=stop), **how)
    except KeyboardInterrupt:
        return
    torch.save(plain.state_of(trainer.model), folder / f"{name}{rank}.pt")

run("whole")
run("broken", stop=7)
random.seed(5), numpy.random.seed(5), torch.manual_seed(5)
run("broken", resume=True)
"""


@pytest.mark.slow
def test_epochs_of_two_processes_are_shared(tmp_path: Path) -> None:
    """Four passes over 8 images in batches of 2 are 16 steps of one process, 8 of two."""
    generate_cars(tmp_path / "cars", cars=6)
    (tmp_path / "rank.py").write_text(EPOCHS)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(tmp_path / "rank.py"), str(tmp_path)],
        check=True, capture_output=True,
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": PATH, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)] == [8, 8]


@pytest.mark.slow
def test_two_processes_resume_exactly(tmp_path: Path, own_registry: None) -> None:
    """Each with the state of its own random layers."""
    processes(INTERRUPTED, tmp_path)
    for rank in (0, 1):  # batch norm's statistics are a process's own
        whole, broken = (torch.load(tmp_path / f"{run}{rank}.pt") for run in ("whole", "broken"))
        assert all(torch.equal(value, broken[key]) for key, value in whole.items())
    saved = load_checkpoint(tmp_path / "broken" / "last.pt")
    assert saved["batches"] == 2
    first, second = saved["random"]
    assert not torch.equal(first["torch"], second["torch"])


PART = """
import sys
from pathlib import Path
import torch
from accelerate import PartialState
import reference_loop as plain
from zoo.train.loop import Trainer

plain.register()
folder = Path(sys.argv[1])
stop = int((folder / "stop").read_text())
changes = {"log_every": 1, "checkpoint_every": 1, "stages.1.batch": 4}
frozen = {f"stages.{i}.frozen_statistics": ["norm"] for i in range(2)}
trainer = Trainer(plain.net(), plain.recipe_with(changes | frozen), folder / "run")
try:
    trainer.fit(plain.Noise(stop=stop), resume=(folder / "run" / "last.pt").exists())
except KeyboardInterrupt:
    pass
PartialState().destroy_process_group()  # its threads can end a process that leaves before others
"""


@pytest.mark.slow
@pytest.mark.parametrize("begun", [1, 2])
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path, begun: int) -> None:
    """Begun by two, going on with one and then with two again; and the other way round."""

    def steps(by: int, *, until: int, place: str) -> int:
        """Go on in so many processes until a batch is not delivered; returns the step reached."""
        folder = tmp_path / place
        folder.mkdir(exist_ok=True)
        (folder / "stop").write_text(str(until))
        processes(PART, folder, count=by)
        return int(load_checkpoint(folder / "run" / "last.pt")["step"])

    last = steps(begun, until=10**6, place="whole")
    turns = [
        steps(by, until=until, place="parted")
        for by, until in ((begun, 3), (3 - begun, 6), (begun, 10**6))
    ]
    assert 0 < turns[0] < turns[1] < turns[2] == last
    whole, parted = (load_checkpoint(tmp_path / p / "run" / "last.pt") for p in ("whole", "parted"))
    assert whole["batches"] == parted["batches"] == begun
    for key in ("model", "averaged"):
        for name, value in whole[key].items():
            torch.testing.assert_close(value, parted[key][name], atol=1e-5, rtol=1e-4)


def test_shares_cover_each_image_once() -> None:
    """Of numbers of processes of which one divides the other; others are refused."""

    def batch(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = torch.arange(4.0) + 4 * number
        return numbers, -numbers

    for batches, count in ((1, 1), (2, 1), (4, 2), (1, 2), (2, 4), (3, 3)):
        drawn = [share_of(rank, count, batches).draw(batch) for rank in range(count)]
        assert torch.cat([inputs for inputs, _ in drawn]).tolist() == list(range(4 * batches))
        assert all(torch.equal(inputs, -targets) for inputs, targets in drawn)
        assert len({len(inputs) for inputs, _ in drawn}) == 1
    with pytest.raises(TrainingError, match="begun by 2 processes and can't be shared by 3"):
        share_of(0, 3, 2)
    with pytest.raises(TrainingError, match="3 processes can't share a batch of 4"):
        share_of(0, 3, 1).draw(batch)
    for batches, count, parts, least in ((2, 1, 1, 2), (2, 1, 3, 6), (1, 2, 3, 2), (1, 2, 1, 1)):
        assert share_of(0, count, batches).accumulate(parts, images=24) == least
    assert share_of(0, 2, 1).accumulate(3, images=3) == 3
