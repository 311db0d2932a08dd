"""The training loop for every task, on a CPU, a GPU or, with `accelerate launch`, several."""

from __future__ import annotations

import json
import math
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from zoo.ahead import ahead
from zoo.errors import TrainingError
from zoo.store.atomic import replacing
from zoo.store.folder import save_model
from zoo.train.averaging import average
from zoo.train.checkpoints import (
    CHECKPOINT,
    check_folder,
    load_checkpoint,
    make_folder,
    save_checkpoint,
)
from zoo.train.continuing import continued
from zoo.train.freezing import named, unfreeze
from zoo.train.gradients import add_gradients
from zoo.train.health import Health
from zoo.train.optimizers import load_optimizer, optimizer_of, rate_factor
from zoo.train.precision import autocast_for
from zoo.train.randomness import hashed, random_state, seed_all, set_random_state
from zoo.train.recipe import Recipe, Stage
from zoo.train.report import Report
from zoo.train.sharing import share_of
from zoo.train.task import Task


class Trainer:
    """Trains a model by a recipe and keeps the run in one folder.

    The folder holds `recipe.yaml`, `last.pt` (the checkpoint to resume from), `best/` (the averaged
    weights with the latest stage's best held-out score, for `zoo.load_model`), `history.json` (the
    training curve) and TensorBoard's files.

    The seed, the step and the process's rank determine each batch, and the step the learning rate.
    All other random numbers, such as dropout's, follow from the seed, and their generators are in
    the checkpoint. So a resumed run takes the same steps as an uninterrupted one.

    Args:
        model: trained in place; built by `zoo.create_model`.
        recipe: stages, optimizer, precision.
        folder: made if missing.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, folder: Path) -> None:
        self.accelerator = Accelerator(mixed_precision="no")  # autocast is set in _run_stage
        self.device: torch.device = self.accelerator.device
        self.plan = self.recipe = recipe  # a lengthened run's recipe is longer than its plan
        self.folder, self.checkpoint = folder, folder / CHECKPOINT
        self.health = Health(self.accelerator, self.checkpoint)
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.averaged = AveragedModel(
            self.model, multi_avg_fn=partial(average, decay=recipe.ema), use_buffers=True
        )
        named(self.model, recipe.optimizer.adam_modules)  # raises for a typo
        self.start: dict[str, str] | None = None  # the weights begun with, see `facts_of_start`
        self.step = 0  # over all stages
        self.added = 0  # number of stages that lengthened the run
        self._divide(batches=self.accelerator.num_processes)
        self.best = -math.inf
        self.history: list[dict[str, float]] = []
        self.optimizer_state: dict[str, Any] | None = None  # of the stage to resume
        self.random: dict[str, Any] | None = None  # to resume with, see `random_state`

    def begin(self, *, resume: bool = False, steps_more: int = 0) -> None:
        """Loads the run to resume, and refuses what `fit` would refuse: call it, with the same
        options, before data are read.

        Raises:
            ZooError: see `fit`.
        """
        if steps_more and not resume:
            raise TrainingError("Steps are added to a run that is resumed: --resume is missing.")
        check_folder(self.folder, resume=resume)
        with tempfile.TemporaryDirectory() as scratch:
            save_model(self.model, scratch)
        for stage in self.plan.stages:
            optimizer_of(self.model, self.plan.optimizer, stage)
        unfreeze(self.model)
        if resume:
            self._load(steps_more)

    def fit(
        self,
        task: Task[Any],
        *,
        time_limit: float = math.inf,
        resume: bool = False,
        steps_more: int = 0,
    ) -> bool:
        """Trains to the end of the last stage; returns False if stopped by `time_limit`.

        Args:
            time_limit: seconds. Each stage's first step, which compiles and may read data, is not
                counted.
            resume: go on from the checkpoint.
            steps_more: lengthen the resumed run by a stage of so many steps, like its last one but
                with a warm-up and an annealing of its own.

        Raises:
            TrainingError: the loss or the weights are not finite; the folder can't be used or holds
                a run; `resume` finds none, or that of another recipe, or of a number of processes
                that this one's can't share, see `zoo.train.sharing`.
            ZooError: the model can't be saved, or lacks a module or layer group of a stage.
        """
        self.begin(resume=resume, steps_more=steps_more)
        main = self.accelerator.is_main_process
        if main:
            make_folder(self.folder, self.recipe.model_dump(mode="json"), self.start)
            if resume:  # the checkpoint's, if the run was killed before it was written
                self._write_history()
        self.task, self.deadline = task, time.monotonic() + time_limit
        stages = self.recipe.stages
        steps, start = sum(stage.steps for stage in stages), 0
        try:
            with Report(self.folder, step=self.step, steps=steps, silent=not main) as self.report:
                for number, stage in enumerate(stages):
                    end = start + stage.steps
                    if self.step == start and number < len(stages) - self.added:
                        self.best = -math.inf  # scores at other sizes aren't comparable
                    if self.step < end and not self._run_stage(stage, start):
                        return False
                    start = end
        finally:
            unfreeze(self.model)
        return True

    def _run_stage(self, stage: Stage, start: int) -> bool:
        recipe, task, end = self.recipe, self.task, start + stage.steps
        parameters, optimizer = optimizer_of(self.model, recipe.optimizer, stage)
        if self.optimizer_state is not None and self.step > start:
            load_optimizer(optimizer, self.optimizer_state)
        model, optimizer = self.accelerator.prepare(self.model, optimizer)
        forward = torch.compile(model) if recipe.compile else model
        autocast = autocast_for(recipe.precision, self.device)

        def loss_of(x: Tensor, y: Tensor) -> Tensor:
            with autocast:  # includes the loss, which may contain a network
                return task.loss(forward(x).float(), y)

        self.report.stage(stage.steps, done=self.step - start)

        model.train()
        began, first = time.monotonic(), self.step
        if self.random is not None:
            set_random_state(self.random, self.device)
            self.random = None
        elif self.step == 0:
            seed_all(hashed(recipe.seed, self.step, self.accelerator.process_index))
        for inputs, targets in ahead(partial(self._batch, stage), range(self.step, end)):
            factor = rate_factor(stage, self.step - start)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            optimizer.zero_grad()
            parts = self.share.accumulate(stage.accumulate, images=len(inputs))
            loss = add_gradients(self.accelerator, model, loss_of, inputs, targets, parts=parts)
            if recipe.clip is not None:
                self.accelerator.clip_grad_norm_(list(parameters.values()), recipe.clip)
            optimizer.step()
            self.averaged.update_parameters(self.model)
            self.health.add(loss)
            if self.step == first:
                self.deadline += time.monotonic() - began
            self.step += 1
            self.report.advance()

            if self.step % recipe.log_every and self.step < end:
                continue
            stop = self._is_over()
            row = {
                "step": self.step,
                "lr": stage.lr * factor,
                "loss": self.health.mean_loss(self.step),
            }
            self.health.check_weights(parameters.values(), self.step)
            if stop or self.step == end or self.step % recipe.validate_every == 0:
                row |= self._validate()
            self.history.append(row)
            self.report.row(row, scored=task.score in row)
            if stop or self.step == end or self.step % recipe.checkpoint_every == 0:
                self._save(optimizer)
            if stop and self.step < end:
                return False
        self.accelerator.free_memory()  # releases the stage's wrappers
        return True

    def _divide(self, *, batches: int) -> None:
        """Sets the number of batches in a step, and what this process computes of them."""
        accelerator, self.batches = self.accelerator, batches
        self.share = share_of(accelerator.process_index, accelerator.num_processes, batches)

    def _batch(self, stage: Stage, step: int) -> tuple[Tensor, Tensor]:
        def draw(batch: int) -> tuple[Tensor, Tensor]:
            seed = hashed(self.recipe.seed, step, batch)
            generator = torch.Generator(self.device).manual_seed(seed)
            return self.task.batch(stage, generator)

        inputs, targets = self.share.draw(draw)
        return inputs.to(self.device), targets.to(self.device)

    def _is_over(self) -> bool:
        """Whether time is up for any process, so that all stop at the same step."""
        late = torch.tensor(float(time.monotonic() > self.deadline), device=self.device)
        return bool(self.accelerator.reduce(late) > 0)

    def _validate(self) -> dict[str, float]:
        """Measures the averaged weights and keeps them if they are the best so far."""
        if not self.accelerator.is_main_process:
            return {}
        averaged = self.averaged.module
        averaged.eval()
        before = random_state(self.device)  # steps don't depend on how often there is a measurement
        metrics = self.task.validate(averaged)
        set_random_state(before, self.device)
        if metrics and metrics[self.task.score] > self.best:
            self.best = metrics[self.task.score]
            save_model(averaged, self.folder / "best")
        return metrics

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        states = gather_object([random_state(self.device)])
        if not self.accelerator.is_main_process:
            return
        state = {
            "recipe": self.recipe.model_dump(mode="json"),
            "added": self.added,
            "batches": self.batches,
            "random": states,
            "step": self.step,
            "best": self.best,
            "history": self.history,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        save_checkpoint(self.checkpoint, state)
        self._write_history()

    def _write_history(self) -> None:
        with replacing(self.folder / "history.json") as part:
            part.write_text(json.dumps(self.history))

    def _load(self, steps_more: int) -> None:
        """Reads the checkpoint; in those of older versions some entries are missing."""
        state = load_checkpoint(self.checkpoint)
        self._divide(batches=state.get("batches") or state.get("processes") or self.batches)
        self.recipe = continued(
            self.plan,
            state["recipe"],
            added=state.get("added", 0),
            steps_more=steps_more,
            folder=self.folder,
        )
        self.added = state.get("added", 0) + bool(steps_more)  # stages
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.step, self.best = state["step"], state["best"]
        self.history, self.optimizer_state = state["history"], state["optimizer"]
        states, rank = state.get("random", ()), self.accelerator.process_index
        if rank < len(states):
            self.random = states[rank]
        elif states:  # a process more than before
            seed_all(hashed(self.recipe.seed, self.step, rank))
