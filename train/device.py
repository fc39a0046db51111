"""Device, arithmetic and compilation of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ailsr.runtime.errors import UsageError
from ailsr.train.distributed import Processes


@contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """torch's number of threads, set for a while; 0 and None leave it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def select_device(name: str, processes: Processes) -> torch.device:
    """The device that ``--device`` names; with several processes, a GPU for each.

    Raises UsageError when it cannot be used.
    """
    wanted = name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if processes.world_size > 1:
        if name not in ("cpu", "cuda"):
            raise UsageError(
                f"--device {wanted} cannot be shared by {processes.world_size} processes: use cpu "
                "or cuda (a GPU for each)"
            )
        name = f"cuda:{processes.local_rank}" if name == "cuda" else name
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" has no values
    except (RuntimeError, AssertionError) as error:
        line = str(error).splitlines()[0]
        raise UsageError(f"--device {name} cannot be used here ({line})") from error
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # float32 is to mean it, in skips above all
        if device.index is not None:
            torch.cuda.set_device(device)
    return device


def uses_bfloat16(arithmetic: str, device: torch.device) -> bool:
    """True for bfloat16, False for float32; ``auto`` takes the faster one."""
    if arithmetic != "auto":
        return arithmetic == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without AMX, bfloat16 by AVX-512 alone was 5 to 30 % slower than float32.
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())


def compiled(network: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """``network`` compiled with its backward pass, at its first call.

    On a GPU as a CUDA graph: the kernels of a compact network take less time than their launches.
    The call raises UsageError when the network cannot be compiled.
    """
    from torch._dynamo.exc import TorchDynamoException  # seconds that only this needs
    from torch._functorch import config

    program = torch.compile(network, mode="reduce-overhead" if device.type == "cuda" else None)

    def call(x: Tensor) -> Tensor:
        try:
            # The backward pass, too, is compiled here and not at its first use.
            with config.patch(force_non_lazy_backward_lowering=True):
                output: Tensor = program(x)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(
                f"the network cannot be compiled here ({reason}): leave out --compile; "
                "with --resume, give --config a file of compile = false"
            ) from error
        return output

    return call
