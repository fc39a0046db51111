"""Latency of a network that was never run: from a table of small networks measured on a device.

The time of a network is taken as the sum of its operators' times, and that of an operator as a sum
of the works in it (``works``): multiplications, which vector units do in whole lanes, results to be
rounded and stored, taps to be gathered, weights and bytes that fit in no cache, and a start. What a
unit of each costs is fitted to the table, none below 0, so that more work never takes less time.
How wide the lanes and how large the caches are is chosen by what fits best. Numpy only.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime import documents
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.fit.nonnegative import nonnegative_least_squares

SCHEMA, SCHEMA_VERSION = "ailsr-fit-table", 1
KERNELS = (1, 3, 5)
"""Sides of the kernels whose costs are fitted apart; another counts as the nearest of them."""
LANES_IN, LANES_OUT = (1, 4, 8, 16), (1, 4, 8, 16, 32)
"""Channels that a kernel may process at a time; the last ones are filled up."""
PANELS = (2.0**14, 1.25 * 2.0**14, 2.0**15)
"""Bytes of weights for one tile of outputs that may stay nearest to the processor."""
CACHES = (math.inf, 2.0**20, 2.0**21, 2.0**22, 2.0**23)
"""Bytes of an operator's input and output that may stay near the processor."""
COVERAGE = 0.9
"""Share of the networks whose latency lies within the interval of a prediction."""

_ALIKE = (0.15, 0.7)
_SHRINKAGE = 0.5
_REWEIGHTINGS, _SMALL_ERROR = 3, 0.02
_BYTES = {"int8": 1, "int8x16": 2}

Kind = Literal["conv", "add", "clamp", "depth_to_space"]
_MOVING: tuple[Kind, ...] = ("add", "clamp", "depth_to_space")
"""What costs by the sample."""


class Operator(NamedTuple):
    """What an operator computes; a convolution's ``kernel`` is the side of a square one. What is
    none of the kinds counts as an addition."""

    kind: Kind
    kernel: int
    inputs: int
    """Channels."""
    outputs: int
    pixels: int
    """Of its output."""


@dataclass(frozen=True)
class Workload:
    """A network at a size, as the sum of its operators."""

    operators: tuple[Operator, ...]
    input_pixels: int
    output_pixels: int

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates of the convolutions."""
        convs = (o for o in self.operators if o.kind == "conv")
        return sum(o.kernel**2 * o.inputs * o.outputs * o.pixels for o in convs)


class Times(NamedTuple):
    """Milliseconds."""

    p50: float
    p90: float


@dataclass(frozen=True)
class Probe:
    """A small network and how long it took."""

    name: str
    workload: Workload
    inference: Times
    whole_path: Times
    """From a uint8 image to a uint8 image."""


@dataclass(frozen=True)
class Device:
    """What the times of a table hold for."""

    cpu: str
    engine: str
    target: str
    precision: str
    threads: int


@dataclass(frozen=True)
class LatencyTable:
    """Times of small networks on one device, by one engine, in one precision."""

    device: Device
    date: str
    probes: tuple[Probe, ...]

    def save(self, path: Path) -> None:
        """Write the table as JSON, whole or not at all."""
        document = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **asdict(self)}
        with atomic_output(path) as temporary:
            temporary.write_text(documents.dump(document) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """The table at ``path``. Raises UsageError when there is none that can be read."""
        try:
            document = documents.parse(path.read_bytes())
            if document["schema"] != SCHEMA or document["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"it is {document['schema']} {document['schema_version']}")
            probes = tuple(_probe(values) for values in document["probes"])
            return cls(Device(**document["device"]), document["date"], probes)
        except FileNotFoundError:
            raise UsageError(
                f"no latency table at {path}: measure one with ailsr-fit measure -o {path}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path} is no latency table ({type(error).__name__}: {error}): measure one with "
                "ailsr-fit measure"
            ) from None


@dataclass(frozen=True)
class Prediction:
    """Milliseconds of the whole path; the interval holds ``COVERAGE`` of the networks."""

    p50_ms: float
    p90_ms: float
    p90_low_ms: float
    p90_high_ms: float
    inference_p50_ms: float
    """Of the inference alone."""


class LatencyModel:
    """Predicts from a table. Raises UsageError for one of too few probes."""

    def __init__(self, table: LatencyTable) -> None:
        self.table = table
        if len(table.probes) < 2:
            raise UsageError("the latency table has no probes: measure it again")
        self._element = _BYTES.get(table.device.precision, 4)
        self._units, self._costs = self._fitted()
        inference = np.array([probe.inference.p50 for probe in table.probes])
        self._inference_costs = _fit(self._matrix(self._units), inference)

    def predict(self, workload: Workload) -> Prediction:
        """The latency of ``workload`` on the table's device."""
        row = self._row(workload, self._units)
        missed = _missed(_place(workload), self._places, self._residuals)
        p50, inference = (float(row @ c) * missed for c in (self._costs, self._inference_costs))
        p90 = p50 * self.spread
        return Prediction(p50, p90, p90 / (1 + self.error), p90 * (1 + self.error), inference)

    @cached_property
    def spread(self) -> float:
        """p90 / p50 of the probes, the median: how unquiet the device was."""
        return float(np.median([p.whole_path.p90 / p.whole_path.p50 for p in self.table.probes]))

    @cached_property
    def error(self) -> float:
        """Relative error that ``COVERAGE`` of the probes stay below, each one's p90 predicted from
        the others'."""
        matrix, times = self._matrix(self._units), self._times
        errors = []
        for left_out, probe in enumerate(self.table.probes):
            others = np.arange(len(times)) != left_out
            predicted = matrix @ _fit(matrix[others], times[others])
            residuals = np.log(times / np.maximum(predicted, 1e-9))[others]
            missed = _missed(self._places[left_out], self._places[others], residuals)
            ratio = float(predicted[left_out]) * missed * self.spread / probe.whole_path.p90
            errors.append(max(ratio, 1 / max(ratio, 1e-9)) - 1)
        return float(np.quantile(errors, COVERAGE))

    @cached_property
    def _places(self) -> NDArray[np.float64]:
        return np.array([_place(probe.workload) for probe in self.table.probes])

    @cached_property
    def _residuals(self) -> NDArray[np.float64]:
        """Logarithms of measured over summed times."""
        predicted = self._matrix(self._units) @ self._costs
        residuals: NDArray[np.float64] = np.log(self._times / np.maximum(predicted, 1e-9))
        return residuals

    @cached_property
    def _times(self) -> NDArray[np.float64]:
        return np.array([probe.whole_path.p50 for probe in self.table.probes])

    def _fitted(self) -> tuple[Units, NDArray[np.float64]]:
        """The units that fit best, and what each work costs in them."""
        best: tuple[float, Units, NDArray[np.float64]] | None = None
        tried: set[bytes] = set()
        for units in itertools.starmap(
            Units, itertools.product(LANES_IN, (True, False), LANES_OUT, PANELS, CACHES)
        ):
            matrix = self._matrix(units)
            if (content := matrix.tobytes()) in tried:
                continue  # these units make no difference
            tried.add(content)
            costs = _fit(matrix, self._times)
            error = float(np.abs(matrix @ costs / self._times - 1).sum())
            if best is None or error < 0.999 * best[0]:
                best = error, units, costs
        assert best is not None
        return best[1:]

    def _matrix(self, units: Units) -> NDArray[np.float64]:
        return np.array([self._row(probe.workload, units) for probe in self.table.probes])

    def _row(self, workload: Workload, units: Units) -> NDArray[np.float64]:
        """The works in ``workload``, summed over its operators."""
        counts = Counter(workload.operators)
        total = sum(n * works(operator, units, self._element) for operator, n in counts.items())
        return np.concatenate([total, [workload.input_pixels, workload.output_pixels, 1.0]])


class Units(NamedTuple):
    """What a device's arithmetic comes in."""

    lanes_in: int
    fills_few: bool
    """Whether fewer inputs than lanes are filled up, too, not taken one by one."""
    lanes_out: int
    panel: float
    """Bytes."""
    cache: float
    """Bytes."""


def works(operator: Operator, units: Units, element: int) -> NDArray[np.float64]:
    """The works in ``operator``, whose samples take ``element`` bytes each."""
    kind, kernel, inputs, outputs, pixels = operator
    conv = np.zeros((len(KERNELS), 6))
    moved = np.zeros(len(_MOVING))
    if kind == "conv":
        near = min(range(len(KERNELS)), key=lambda i: abs(KERNELS[i] - kernel))
        full_in = -(-inputs // units.lanes_in) * units.lanes_in
        if inputs < units.lanes_in and not units.fills_few:
            full_in = inputs
        tiles = -(-outputs // units.lanes_out)
        panel = element * kernel**2 * full_in * units.lanes_out
        multiplications = kernel**2 * full_in * tiles * units.lanes_out * pixels
        conv[near] = (
            multiplications,
            multiplications if panel > units.panel else 0,
            tiles * units.lanes_out * pixels,
            kernel**2 * full_in * pixels,
            kernel**2 * tiles * pixels,
            kernel**2 * inputs * outputs * pixels,
        )
    else:
        moved[_MOVING.index(kind)] = max(inputs, outputs) * pixels
    traffic = element * (inputs + outputs) * pixels
    beyond = traffic if traffic > units.cache else 0
    return np.concatenate([conv.ravel(), moved, [beyond, 1.0]])


def _fit(matrix: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Costs ≥ 0 with nearly the least sum of relative errors, not of their squares: a probe that
    was disturbed does not count for more than others (reweighted least squares)."""
    relative = matrix / times[:, None]
    scale = np.linalg.norm(relative, axis=0)
    scale[scale == 0] = 1
    relative /= scale
    weights, costs = np.ones_like(times), np.zeros(matrix.shape[1])
    for _ in range(_REWEIGHTINGS):
        costs = nonnegative_least_squares(relative * weights[:, None], weights)
        weights = 1 / np.sqrt(np.maximum(np.abs(relative @ costs - 1), _SMALL_ERROR))
        weights /= weights.max()
    unscaled: NDArray[np.float64] = costs / scale
    return unscaled


def _place(workload: Workload) -> NDArray[np.float64]:
    """(channels, pixels) of the convolutions, as logarithms, mean by multiplications, in the units
    within which probes are alike."""
    convs = [o for o in workload.operators if o.kind == "conv"]
    if not convs:
        return np.full(2, np.inf)  # like no other
    weights = [o.kernel**2 * o.inputs * o.outputs * o.pixels for o in convs]
    values = [(math.log(o.inputs * o.outputs) / 2, math.log(o.pixels)) for o in convs]
    place: NDArray[np.float64] = np.average(values, axis=0, weights=weights) / _ALIKE
    return place


def _missed(
    place: NDArray[np.float64], places: NDArray[np.float64], residuals: NDArray[np.float64]
) -> float:
    """Measured over summed time at ``place``, by the ``residuals`` of the probes at ``places``: 1
    where none is near (Nadaraya-Watson, shrunk)."""
    if not np.isfinite(place).all():
        return 1.0
    weights = np.exp(-0.5 * np.square(places - place).sum(axis=1))
    return math.exp(float(weights @ residuals) / (float(weights.sum()) + _SHRINKAGE))


def _probe(values: dict[str, Any]) -> Probe:
    work = values["workload"]
    operators = tuple(Operator(*operator) for operator in work["operators"])
    workload = Workload(operators, work["input_pixels"], work["output_pixels"])
    times = [Times(*map(float, values[path])) for path in ("inference", "whole_path")]
    if not all(0 < ms < math.inf for path in times for ms in path):
        raise ValueError(f"a time of {values['name']} is out of range")
    return Probe(values["name"], workload, *times)
