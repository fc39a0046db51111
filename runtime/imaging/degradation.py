"""Degradations: what happened to an image before it has to be enlarged.

The protocol's is bicubic reduction alone. Photographs as people have them were blurred by a lens,
resampled by unknown programs, and saved as JPEG, some of them twice. A degradation is a chain of
such steps in the order in which they happen, after BSRGAN (Zhang et al., ICCV 2021, arXiv
2103.14006) and Real-ESRGAN (Wang et al., arXiv 2107.10833); the noise of the sensor (Foi et al.,
IEEE TIP 2008) has its place behind the lens and before the first file.
"""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime import documents
from ailsr.runtime.errors import UsageError, one_line
from ailsr.runtime.imaging.degradation_steps import STEPS, Blur, Jpeg, Noise, Resize, Step
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.resize import shrink
from ailsr.runtime.rules import Rule, check, integer, items, number, plain, text

DegradationJson = str | dict[str, Any]
"""A degradation as ``Degradation.to_json`` writes it."""


@dataclass(frozen=True)
class Degradation:
    """A chain of steps from a high-resolution image to a low-resolution one."""

    name: str
    steps: tuple[Step, ...]
    """Empty: bicubic reduction by the protocol."""
    clean: float = 0.0
    """Share of the training images that are reduced by bicubic interpolation alone."""
    version: int = 1
    """Counted up when the steps of a name change: figures of different versions do not compare."""

    def __post_init__(self) -> None:
        exact = [s for s in self.steps if isinstance(s, Resize) and s.to == (1, 1) and s.share == 1]
        if self.steps and not exact:
            raise UsageError(
                f"degradation {self.name}: no step leads to the low resolution: add one of kind "
                '"resize" without "to" and "share"'
            )

    def __str__(self) -> str:
        """The name that stands in reports: ``bicubic``, ``photo-1``."""
        return f"{self.name}-{self.version}" if self.steps else self.name

    def of_image(self, hr: Rgb, scale: int) -> Rgb:
        """The low-resolution image [h, w, 3] of ``hr`` [scale·h, scale·w, 3], always the same.

        Its parameters are drawn by a seed from its pixels, so that neither the other images of a
        folder nor a file's name matter. Other versions of libjpeg may differ by a level.
        """
        seed = zlib.crc32(np.ascontiguousarray(hr).data)
        return self._reduced(hr, scale, np.random.default_rng(seed))

    def sample(self, hr: Rgb, scale: int, random: np.random.Generator) -> Rgb:
        """A low-resolution image of ``hr`` for training: degraded anew, or clean."""
        if random.random() < self.clean:
            return shrink(hr, scale)
        return self._reduced(hr, scale, random)

    def _reduced(self, hr: Rgb, scale: int, random: np.random.Generator) -> Rgb:
        if not self.steps:
            return shrink(hr, scale)
        image, low = hr, (hr.shape[0] // scale, hr.shape[1] // scale)
        for step in self.steps:
            if random.random() < step.share:
                image = step.apply(image, low, random)
        return image

    def to_json(self) -> DegradationJson:
        """The name of one of ``DEGRADATIONS``, or the table that ``from_json`` reads."""
        if DEGRADATIONS.get(self.name) == self:
            return self.name
        steps = [{"kind": step.kind, **_lists(asdict(step))} for step in self.steps]  # type: ignore[call-overload]
        return {"name": self.name, "clean": self.clean, "version": self.version, "steps": steps}

    @classmethod
    def from_json(cls, value: object) -> Degradation:
        """The degradation of a name, of a TOML file's name, or of a table. Raises UsageError."""
        if isinstance(value, Degradation):
            return value
        if isinstance(value, str):
            return DEGRADATIONS.get(value) or cls._from_file(value)
        name = value.get("name") if isinstance(value, Mapping) else None
        return cls._from_table(value, f"degradation {name}" if name else "degradation")

    @classmethod
    def _from_file(cls, name: str) -> Degradation:
        if not name.endswith(".toml"):
            names = ", ".join(DEGRADATIONS)
            raise UsageError(f"no degradation {name!r}: choose {names}, or name a .toml file")
        try:
            table = tomllib.loads(documents.read_text(Path(name)))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"degradation {name}: cannot be read ({one_line(error)})") from error
        return cls._from_table({"name": Path(name).stem, **table}, f"degradation {name}")

    @classmethod
    def _from_table(cls, value: object, where: str) -> Degradation:
        try:
            return cls(**_checked(value, _RULES, 2))
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from error


def _steps(value: object) -> tuple[Step, ...]:
    steps = []
    for place, step in enumerate(items(plain(2), 20, 1)(value), start=1):
        try:
            steps.append(_step(step))
        except ValueError as error:
            raise ValueError(f"wrong in step {place}: {error}") from None
    return tuple(steps)


def _step(value: object) -> Step:
    kinds = ", ".join(STEPS)
    if not isinstance(value, Mapping) or (kind := STEPS.get(str(value.get("kind")))) is None:
        raise ValueError(f'a step without a kind: write {{kind = "…"}} with one of {kinds}')
    given = {name: item for name, item in value.items() if name != "kind"}
    required = sum(field.default is MISSING for field in fields(kind))
    return kind(**_checked(given, kind.RULES, required))


def _checked(value: object, table: Mapping[str, Rule], required: int) -> dict[str, Any]:
    """``check``, which lets unknown fields pass, for tables that people write."""
    found = check(value, table, required)
    if isinstance(value, Mapping) and (unknown := [name for name in value if name not in table]):
        raise ValueError(f"there is no {unknown[0]!r}: choose from {', '.join(table)}")
    return found


def _lists(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


_RULES: dict[str, Rule] = {
    "name": text(80),
    "steps": _steps,
    "clean": number(0, 1),
    "version": integer(1, 1000),
}

BICUBIC = Degradation("bicubic", ())
PHOTO = Degradation(
    "photo",
    (
        Blur(sigma=(0.0, 1.0), ratio=(0.5, 1.0)),
        Resize(to=(1.0, 1.5)),
        Noise(gaussian=(0.0, 3.0), shot=(0.0, 4.0)),
        Resize(),
        Jpeg(quality=(60, 95)),
    ),
    clean=0.1,
)
"""Light: a photograph as a phone or a camera saved it."""
WEB = Degradation(
    "web",
    (
        Blur(sigma=(0.0, 1.5), ratio=(0.5, 1.0)),
        Resize(to=(1.0, 2.0)),
        Noise(gaussian=(0.0, 4.0), shot=(0.0, 6.0)),
        Jpeg(quality=(50, 95)),
        Resize(),
        Jpeg(quality=(30, 90)),
    ),
    clean=0.1,
)
"""Heavy: saved, shrunk and saved again, as messengers and web pages do."""
DEGRADATIONS = {degradation.name: degradation for degradation in (BICUBIC, PHOTO, WEB)}
"""The degradations by name; see CONTRIBUTING, "Add a degradation"."""
DEGRADATION_METAVAR = f"{'|'.join(DEGRADATIONS)}|FILE.toml"
