"""Training loop: rounds of steps, each with its own importance.

``last.pt`` holds all that a step depends on (weights, optimiser, generator, frozen networks), so a
resumed run gives exactly the result of an uninterrupted one.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ailsr.runtime.errors import TrainingError
from ailsr.runtime.files import atomic_output, clear_leftovers, sole_writer
from ailsr.runtime.stopping import Stopped, handled
from ailsr.runtime.version import VERSION
from ailsr.train import checkpoint
from ailsr.train.ail import importance_loss
from ailsr.train.checkpoint import Checkpoint
from ailsr.train.data import load_data
from ailsr.train.device import compiled, cpu_threads, select_device, uses_bfloat16
from ailsr.train.digest import check_same_images
from ailsr.train.distributed import Processes
from ailsr.train.events import Events
from ailsr.train.importance import ImportanceMaps
from ailsr.train.networks import Network, rgb_to_luma
from ailsr.train.patches import Batch
from ailsr.train.recipe import Recipe
from ailsr.train.renewal import Renewal
from ailsr.train.run_log import RunLog
from ailsr.train.schedule import average_decay, learning_rate
from ailsr.train.scoring import score
from ailsr.train.state import frozen, initial_state

MAX_LOSS = 1.0
"""Loss above which training stops, once warmed up: the range of an image."""
MAX_DEAD_FRACTION = 0.9
"""Fraction of channels without a gradient above which training stops."""


def train(recipe: Recipe, events: Events | None = None) -> dict[str, Any]:
    """The training card of a run by ``recipe``, with the PSNR in dB of each round.

    Raises TrainingError, UsageError, ImageError or ModelError when the run cannot start or go on.
    Ctrl-C, SIGTERM and SIGHUP raise Stopped, a KeyboardInterrupt, at the end of the current step,
    with ``last.pt`` written (there is none while images are read). Under ``torchrun``, only the
    first process validates, writes files and calls ``events``.
    """
    processes = Processes.from_environment()
    try:
        with processes.process_group(), cpu_threads(recipe.threads):
            return _run(recipe, events or Events(), processes)
    except RuntimeError as error:  # full CPU memory has no class of its own
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise TrainingError(
                f"the memory is full ({str(error).splitlines()[0]}): lower --batch, --patch or "
                "--max-megapixels"
            ) from error
        raise


def _run(recipe: Recipe, events: Events, processes: Processes) -> dict[str, Any]:
    # A function of its own: the run has to be released before the processes disconnect.
    with sole_writer(recipe.output) if processes.first else nullcontext(True) as locked:
        if not locked:
            events.say(f"{recipe.output} cannot be locked: see that no other run writes there")
        if processes.first:
            clear_leftovers(recipe.output)
        run = Run(recipe, events, processes)
        with _interrupts(run), run.log, run.renewal:
            run.train_rounds()
        return run.card()


class Run:
    """One training run, from its recipe to its checkpoints."""

    def __init__(self, recipe: Recipe, events: Events, processes: Processes) -> None:
        self.recipe, self.processes = recipe, processes
        self.events = events if processes.first else Events()
        self.shard = processes.shard(recipe.batch)
        self.device = select_device(recipe.device, processes)
        self.bfloat16 = uses_bfloat16(recipe.arithmetic, self.device)
        self.log = RunLog(recipe.output if processes.first else None, recipe.tensorboard)
        self.state = initial_state(recipe, self.device)
        self.data = load_data(recipe, self.device, self.events)
        self.renewal = Renewal(self.data.source, recipe.degradation, recipe.seed)
        self.maps = ImportanceMaps(
            self.data.source,
            self.output,
            self.in_color,
            self._mapped,
            teacher_sees_clean=recipe.degraded and recipe.teacher_sees == "clean",
        )
        self.taught_by: Network | None = None
        """The teacher of every batch, when no image keeps its pixels for a round."""
        self.stopped_by: int | None = None
        """The signal to stop by, at the end of the current step."""
        recipe.output.mkdir(parents=True, exist_ok=True)
        self.last_path = recipe.output / "last.pt"
        if recipe.resume:
            stored = checkpoint.load(self.last_path, recipe.network)
            check_same_images(self.data.digests, stored.card.get("digests", {}), recipe.output)
            self.state.restore(stored.progress, stored.network, self.last_path)
            self.log.resume(self.state.step)
            self.events.say(f"resumed at step {self.state.step} of {recipe.steps}")
        elif processes.first:
            with atomic_output(recipe.output / "recipe.toml") as temporary:
                temporary.write_text(recipe.to_toml(), encoding="utf-8")
            self.log.start()
            self.save_last()  # to be resumed from the very start; a full disk shows at once
        student = processes.replicate(self.state.student, self.device)
        self.student = compiled(student, self.device) if recipe.compile else student
        """The student in the form that is trained: compiled, replicated, or itself."""

    def train_rounds(self) -> None:
        """Run all rounds that are left."""
        recipe, state = self.recipe, self.state
        for segment in range(recipe.segments):
            if state.step >= recipe.segment_end(segment):
                continue
            self._stop_if_asked()
            # Importance is that of the images at the start of the round, in a resumed run, too.
            self.renewal.advance(recipe.segment_start(segment), self._mapped)
            importance = self.set_importance(segment)
            self.renewal.advance(state.step, self._mapped)
            if state.step == recipe.segment_start(segment):
                self.log.write("round", state.step, segment=segment, mean_importance=importance)
            self._train_round(segment)
            if recipe.method == "ail":
                state.previous = frozen(state.average, self.device)
                if state.teacher is None:
                    state.teacher = state.previous
            if self.processes.first:
                self._validate(segment, importance)
            self.save_last()
        self.processes.any(False)  # the others wait for the first, which validates

    def save_last(self) -> None:
        """Write ``last.pt``: the averaged network and the state to resume from."""
        if not self.processes.first:
            return
        checkpoint.save(self._checkpoint(self.state.progress()), self.last_path)

    def _checkpoint(self, progress: dict[str, Any] | None = None) -> Checkpoint:
        return Checkpoint(self.state.average, self.card(), progress or {}, fused=self.state.fused)

    def card(self) -> dict[str, Any]:
        """The training card: recipe, data and results, JSON values only."""
        return {
            "ailsr_version": VERSION,
            "recipe": self.recipe.to_dict(),
            "pictures": len(self.data.source),
            "skipped": self.data.skipped,
            "digests": {**self.data.digests, "teacher": self.state.teacher_digest},
            "steps": self.state.step,
            "validations": self.state.validations,
            "arithmetic": "bfloat16" if self.bfloat16 else "float32",
        }

    def set_importance(self, segment: int) -> float | None:
        """Set the round's importance and teacher; returns the mean importance, or None."""
        state, recipe = self.state, self.recipe
        k = segment - recipe.has_plain_round
        if recipe.method != "ail" or k < 0:
            self.maps.clear()
            return None
        if state.teacher is None or (k > 0 and state.previous is None):
            raise TrainingError(f"{self.last_path}: the frozen networks of round {k} are missing")
        if recipe.importance == "paper":
            previous = state.previous if k > 0 else None
            return self.maps.set_weights(state.teacher, previous, k, recipe.constants)
        if recipe.teacher == "self":  # no gap to a teacher: sample by its gain over bicubic
            return self.maps.set_sampling(state.previous or state.teacher, None)
        if recipe.degraded and recipe.teacher_sees == "degraded":
            self.taught_by = state.teacher
        else:
            self.maps.set_taught(state.teacher)
        if recipe.importance == "none":
            return None
        return self.maps.set_sampling(state.teacher, state.previous)

    def _mapped(self, activity: str, done: int, total: int, note: str) -> None:
        self.events.progress(activity, done, total, note)
        self._stop_if_asked()

    @torch.no_grad()
    def output(self, network: Network, lr: Tensor) -> Tensor:
        """network(lr) in the student's colour, (1, C, H, W)."""
        with self._autocast():
            if network.color == self.state.student.color:
                output = network(self._input(lr))
            else:
                output = self.in_color(network.deploy().to(self.device)(lr))
        upscaled: Tensor = output.float()
        return upscaled

    def _train_round(self, segment: int) -> None:
        recipe, state = self.recipe, self.state
        end = recipe.segment_end(segment)
        losses: list[Tensor] = []
        note = ""
        started = time.perf_counter()
        state.student.train()
        while state.step < end:
            rate = learning_rate(recipe, segment, state.step)
            decay = average_decay(recipe, segment, state.step)
            # A loss is read only when it is logged: reading waits for the GPU.
            losses.append(self.train_step(self.next_batch(), rate, decay))
            state.step += 1
            if state.step % recipe.log_every == 0 or state.step == end:
                mean = float(self.processes.mean(torch.stack(losses).mean()))
                self._check_progress(mean)
                speed = len(losses) / (time.perf_counter() - started)
                self.log.write(
                    "steps", state.step, segment=segment, loss=mean,
                    learning_rate=learning_rate(recipe, segment, state.step),
                    steps_per_second=round(speed, 1),
                )  # fmt: skip
                losses, started, note = [], time.perf_counter(), f"loss {mean:.2e}"
            self.events.progress("training", state.step, recipe.steps, note)
            if state.step != end:  # at the end of a round, last.pt is written after validation
                stop = self.processes.any(self.stopped_by is not None)
                if stop or state.step % recipe.checkpoint_every == 0:
                    self.save_last()
                if stop:
                    raise self._stopped()

    def _check_progress(self, loss: float) -> None:
        """Raise TrainingError if the network no longer learns."""
        recipe, step, warm = self.recipe, self.state.step, self.state.step > self.recipe.warmup
        finite = math.isfinite(loss)
        if finite and warm and self.state.dead_channel_fraction() > MAX_DEAD_FRACTION:
            raise TrainingError(
                f"the network no longer learns at step {step}: its ReLUs are dead; lower "
                f"--learning-rate ({recipe.peak_learning_rate:g}) or lengthen --warmup "
                f"({recipe.warmup})"
            )
        if not finite or (warm and loss > MAX_LOSS):
            raise TrainingError(
                f"the loss is {loss:.3g} at step {step}: lower --learning-rate "
                f"({recipe.peak_learning_rate:g})"
            )

    def next_batch(self) -> Batch:
        """The next batch, or this process's shard of it."""
        self.renewal.advance(self.state.step)
        batch = self.data.source.batch(self.recipe.batch, self.state.generator, self.shard)
        if self.taught_by is None:
            return batch
        return replace(batch, taught=self.output(self.taught_by, batch.lr))

    def train_step(self, batch: Batch, learning_rate: float, decay: float) -> Tensor:
        """The loss on ``batch``; one step of the optimiser and of the averaged weights."""
        recipe, state = self.recipe, self.state
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate
        # Before the forward pass: gradients may lie in the memory of its CUDA graph.
        state.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            output = self.student(self._input(batch.lr))
        loss = self._loss(output.float(), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.student.parameters(), recipe.clip)
        try:
            state.optimizer.step()
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # gradients not finite
            loss = loss * math.nan  # stops the run when it is logged
        with torch.no_grad():
            averaged: list[Tensor] = list(state.average.parameters())
            current: list[Tensor] = list(state.student.parameters())
            torch._foreach_lerp_(averaged, current, 1 - decay)
        return loss.detach()

    def _loss(self, output: Tensor, batch: Batch) -> Tensor:
        target = self.in_color(batch.hr)
        if batch.weight is not None:
            return importance_loss(output, target, batch.weight)
        if batch.taught is not None:
            return F.l1_loss(output, batch.taught)
        if self.recipe.squared_error:
            return F.mse_loss(output, target)
        return F.l1_loss(output, target)

    def _validate(self, segment: int, importance: float | None) -> None:
        state, recipe = self.state, self.recipe
        entry: dict[str, Any] = {"segment": segment, "step": state.step}
        entry["mean_importance"] = importance
        if self.data.validation:
            scores = score(state.average, self.data.validation)
            protocol = scores.protocol + (f"/{recipe.degradation}" if recipe.degraded else "")
            entry |= {"psnr": scores.psnr_db, "ssim": scores.ssim, "protocol": protocol}
            figure = f"{scores.psnr_db:.3f} dB ({protocol})"
            self.events.say(f"round {segment + 1}/{recipe.segments}: {figure}")
        state.validations.append(entry)
        self.log.write("validation", **entry)
        psnr = entry.get("psnr", math.inf)  # without --val the latest is the best
        if psnr >= state.best_psnr:
            state.best_psnr = psnr if math.isfinite(psnr) else state.best_psnr
            checkpoint.save(self._checkpoint(), recipe.output / "best.pt")

    def _stop_if_asked(self) -> None:
        if self.processes.any(self.stopped_by is not None):
            raise self._stopped()

    def _stopped(self) -> Stopped:
        return Stopped(self.stopped_by or signal.SIGINT)  # another process may have got the signal

    def _input(self, lr: Tensor) -> Tensor:
        return self.in_color(lr).contiguous(memory_format=torch.channels_last)

    def in_color(self, rgb: Tensor) -> Tensor:
        """``rgb`` (N, 3, h, w) in the student's colour."""
        return rgb if self.state.student.color == "rgb" else rgb_to_luma(rgb)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


@contextmanager
def _interrupts(run: Run) -> Iterator[None]:
    """Delay signals that stop ``run`` to the end of its step, so that ``last.pt`` is whole."""

    def stop(number: int) -> None:
        if number == run.stopped_by == signal.SIGINT:  # the second one; last.pt is the one before
            raise Stopped(number)
        run.stopped_by = number

    with handled(stop):
        yield
