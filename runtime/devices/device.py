"""A device: a machine that measures files. ``registry.py`` has one class for each kind."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol

from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.bench.harness import Plan
from ailsr.runtime.bench.results import Results
from ailsr.runtime.engines.interface import Interface
from ailsr.runtime.errors import AilsrError
from ailsr.runtime.progress import Progress

LOCAL = "local"
STALLED = 300.0
"""Seconds without progress, beside what the plan takes, after which a device is hung."""
Delegate = Literal["cpu", "gpu", "nnapi"]
"""The processor on which the app runs files, or its software."""


class Device(Protocol):
    """A machine that measures files."""

    name: str
    """As ``--device`` gives it."""

    def measure(self, plan: Plan, progress: Progress) -> Results:
        """The device's results; files and images that it lacks are sent to it first.

        Raises DeviceError when it cannot be reached or used, or is lost; nothing of the run is
        left on it then, neither a process nor a part of a file.
        """
        ...

    def close(self) -> None:
        """End a ``measure`` that runs in another thread: it raises DeviceError."""
        ...


def measure_on(
    devices: Sequence[Device], plan: Plan, progress: Sequence[Progress]
) -> list[Results | AilsrError]:
    """The results of each device, or its error; all measure at the same time."""

    def measure(device: Device, progress: Progress) -> Results | AilsrError:
        try:
            return device.measure(plan, progress)
        except AilsrError as error:
            return error

    names = [device.name for device in devices]
    here = names.index(LOCAL) if LOCAL in names else 0
    with ThreadPoolExecutor(len(devices)) as pool:
        others = {
            n: pool.submit(measure, device, told)
            for n, (device, told) in enumerate(zip(devices, progress, strict=True))
            if n != here
        }
        try:
            own = measure(devices[here], progress[here])
            return [own if n == here else others[n].result() for n in range(len(devices))]
        except BaseException:
            for n in others:
                devices[n].close()
            raise


def patience(plan: Plan) -> float:
    """Seconds without progress after which a device that measures by ``plan`` is given up."""
    return STALLED + 10 * plan.seconds + 60 * plan.sustained_minutes


def scale_of(file: str) -> int | None:
    """The factor by which ``file`` enlarges, read without an engine; None when it does not tell."""
    try:
        found = anatomy(file)
        if found.card is not None:
            return found.card.scale
        tensors = (*found.inputs, *found.outputs)
        shapes = [[n if isinstance(n, int) else None for n in t.shape] for t in tensors]
        return Interface.of(shapes, [t.type for t in tensors], None).scale
    except AilsrError:
        return None


def scales(plan: Plan) -> list[int]:
    """The factors by which the files of ``plan`` enlarge, as far as they tell."""
    return sorted({scale for file in plan.files if (scale := scale_of(file)) is not None})
