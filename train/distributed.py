"""Several processes that train one network together, as ``torchrun`` starts them.

Every process draws the indices of the whole batch with the same generator and trains on its own
share of them; DistributedDataParallel averages the gradients. So the result is that of one process
with the same batch, up to the order of the sums. Weights, average and learning rate are then the
same everywhere: the first process alone validates, logs, writes checkpoints and speaks.
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

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others; the first one's validation has to fit in."""


@dataclass(frozen=True)
class Processes:
    """This process's place among those that train together; alone unless ``torchrun`` says so."""

    rank: int = 0
    """Number of this process; the first is 0."""
    count: int = 1
    local: int = 0
    """Number on this machine, and so of its GPU."""

    @classmethod
    def of_torchrun(cls) -> Processes:
        """What the environment says."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """This process's part of a batch. Raises UsageError when there are no equal parts."""
        if batch % self.count:
            raise UsageError(
                f"--batch {batch} cannot be shared equally by {self.count} processes: choose a "
                f"multiple of {self.count}"
            )
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Connect the processes: by gloo for tensors on the CPU, by NCCL for those on GPUs.

        What was made by ``replicate`` should be let go inside: a network that outlives the
        connection keeps gloo's threads, and one of these that meets the interpreter's end aborts.
        Raises TrainingError when another process ended meanwhile.
        """
        if self.count == 1:
            yield
            return
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            dist.init_process_group(backend, timeout=PATIENCE)
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
        """``network``, which averages its gradients over the processes in ``backward``."""
        if self.count == 1:
            return network
        # The strides of a 1×1 kernel are ambiguous; copying its gradient costs next to nothing.
        warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
        devices = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            network, devices, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def any(self, here: bool) -> bool:
        """Whether ``here`` is true in any process. All must ask; they wait for one another."""
        if self.count == 1:
            return here
        answer = torch.tensor(int(here))
        dist.all_reduce(answer, dist.ReduceOp.MAX)
        return bool(answer)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of ``value`` over the processes. All must ask."""
        if self.count > 1:
            dist.all_reduce(value)
        return value / self.count


@contextmanager
def one_voice() -> Iterator[None]:
    """Let the first process speak for all; another is heard when it fails and the first does not.

    ``torchrun`` ends the others as soon as one has failed, so that one that fails with the first
    does not live to say it again.
    """
    rank = Processes.of_torchrun().rank
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
