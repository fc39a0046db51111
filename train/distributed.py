"""Data-parallel training in several processes, started by ``torchrun``.

Every process samples the whole batch with the same generator and trains on its shard of it;
DistributedDataParallel averages the gradients. So the result is that of one process with the same
batch, up to the order of sums. The first process alone validates, logs, writes checkpoints and
prints.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.distributed.nn  # imported later, while connected, its defaults would keep the group
from torch import Tensor, nn

from ailsr.runtime.errors import TrainingError, UsageError

TIMEOUT = timedelta(minutes=30)
"""Longest wait for another process; the validation by the first has to fit in."""


@dataclass(frozen=True)
class Processes:
    """Rank of this process and number of all; one process unless ``torchrun`` started it."""

    rank: int = 0
    """Number of this process, from 0."""
    world_size: int = 1
    local_rank: int = 0
    """Number of this process on its machine, and of its GPU."""

    @classmethod
    def from_environment(cls) -> Processes:
        """As ``torchrun`` sets the environment."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def shard(self, batch: int) -> slice:
        """This process's part of a batch. Raises UsageError when the parts are not equal."""
        if batch % self.world_size:
            raise UsageError(
                f"--batch {batch} cannot be shared equally by {self.world_size} processes: choose "
                f"a multiple of {self.world_size}"
            )
        size = batch // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)

    @contextmanager
    def process_group(self) -> Iterator[None]:
        """The connection of the processes: gloo for tensors on the CPU, NCCL on GPUs.

        Release networks made by ``replicate`` inside: one that outlives the connection keeps
        gloo's threads, which can abort the interpreter at its exit. Raises TrainingError when
        another process ended meanwhile.
        """
        if self.world_size == 1:
            yield
            return
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            dist.init_process_group(backend, timeout=TIMEOUT)
            yield
        except RuntimeError as error:  # gloo has no class of its own for a lost connection
            if isinstance(error, dist.DistError) or "gloo" in str(error):
                raise TrainingError(
                    f"the connection to another process broke ({str(error).splitlines()[0]}): "
                    "its own message says why; go on with --resume"
                ) from error
            raise
        finally:
            gc.collect()
            if dist.is_initialized():
                dist.destroy_process_group()

    def replicate(self, network: nn.Module, device: torch.device) -> nn.Module:
        """``network`` with gradients averaged over the processes in ``backward``."""
        if self.world_size == 1:
            return network
        # The strides of a 1×1 kernel are ambiguous; copying its gradient costs next to nothing.
        warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
        devices = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            network, devices, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def any(self, here: bool) -> bool:
        """True if ``here`` is true in any process. All must call it; they wait for one another."""
        if self.world_size == 1:
            return here
        answer = torch.tensor(int(here))
        dist.all_reduce(answer, dist.ReduceOp.MAX)
        return bool(answer)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of ``value`` over the processes. All must call it."""
        if self.world_size > 1:
            dist.all_reduce(value)
        return value / self.world_size


@contextmanager
def mute_other_processes() -> Iterator[None]:
    """Discard the output of all processes but the first, unless one of them fails.

    Its message comes 5 s late: when the first process fails, too, ``torchrun`` ends the others
    before they repeat its message.
    """
    rank = Processes.from_environment().rank
    if rank == 0:
        yield
        return
    said = io.StringIO()
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(said):
            yield
    except SystemExit as end:
        if end.code not in (None, 0, 130):  # 130: Ctrl-C
            time.sleep(5)
            sys.stderr.write(f"process {rank}: {said.getvalue()}")
        raise
