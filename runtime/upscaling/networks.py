"""The networks of a run: one, or two of which each image takes the one that suits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ailsr.runtime.card import Card
from ailsr.runtime.engines.engine import told
from ailsr.runtime.engines.named_files import names, resolve
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.condition import Condition, is_coarse
from ailsr.runtime.imaging.degradation import PHOTO, WEB
from ailsr.runtime.imaging.rgb_image import Limit, RgbImage
from ailsr.runtime.upscaling.auto_engine import resolved
from ailsr.runtime.upscaling.engine_pool import EnginePool


class Networks:
    """The engines of one network, or of one for clean images and one for photographs."""

    @classmethod
    def open(
        cls,
        files: Sequence[Path],
        auto: bool,
        threads: int,
        limit: int | None,
        say: Callable[[str], None],
        engines: Mapping[str, str] | None = None,
    ) -> Networks:
        """Those of one or two ``files``, or of one and, with ``auto``, its like in the zoo.

        Otherwise as ``open_pool``. Raises UsageError when the zoo has none.
        """
        pools = [open_pool(file, threads, limit, say, engines) for file in files]
        if auto and len(pools) == 1:
            other = for_photographs(pools[0].card)
            if other is None:
                raise UsageError(
                    f"--auto: the zoo has no network for photographs like that of {files[0]}: name "
                    "two FILEs, one trained on clean images and one on degraded ones"
                )
            pools.append(open_pool(Path(other), threads, limit, say, engines))
        return cls(pools)

    def __init__(self, pools: Sequence[EnginePool]) -> None:
        """Raises UsageError for two that are not of one scale, one of each kind."""
        self.pools = pools
        self.scale = pools[0].scale
        self._advised = False
        if len(pools) == 1:
            return
        kinds = {pool.card.trained_on if pool.card else None: pool for pool in pools}
        if set(kinds) != {"clean", "degraded"} or len({pool.scale for pool in pools}) > 1:
            said = "; ".join(f"{pool.path}: {_described(pool)}" for pool in pools)
            raise UsageError(
                "--auto chooses between two networks of one scale, of which one has seen clean "
                f"images and one degraded ones ({said})"
            )
        self._clean, self._degraded = kinds["clean"], kinds["degraded"]

    def make_room(self, folder: Path) -> Limit | None:
        """As ``EnginePool.make_room``, of all the engines."""
        limits = [pool.make_room(folder) for pool in self.pools]  # each releases its engines
        return limits[0]

    def suited(self, image: RgbImage) -> tuple[EnginePool, str | None]:
        """The engines for ``image``, and why; None: there is no choice."""
        if len(self.pools) == 1:
            return self.pools[0], None
        condition = Condition.of(image)
        return self._degraded if condition.is_degraded else self._clean, str(condition)

    def advice(self, image: RgbImage) -> str | None:
        """That another network would do better, once: ``image`` is the first JPEG so coarse, and
        this network has only seen clean images. None otherwise."""
        card = self.pools[0].card
        if self._advised or not is_coarse(image.jpeg_quality):
            return None
        if card is None or card.trained_on != "clean":
            return None
        self._advised, other = True, for_photographs(card)
        better = (
            f"{other} would do better, or --auto"
            if other
            else ("one trained with --degradation photo would do better")
        )
        return (
            f"a JPEG of quality {image.jpeg_quality}, and {card.network} has only seen clean "
            f"images: {better}"
        )


def open_pool(
    file: Path,
    threads: int,
    limit: int | None,
    say: Callable[[str], None],
    engines: Mapping[str, str] | None = None,
) -> EnginePool:
    """The engines of ``file``, which may be a name, by ``engines``: the one for its ending.

    ``say`` is told of what takes long, and where an engine was asked for what computes the file.
    Otherwise as ``EnginePool`` and ``resolve``.
    """
    path = resolve(file, say)
    asked = (engines or {}).get(path.suffix.lower())
    pool = EnginePool(path, threads, limit, resolved(path, asked, threads, say))
    if asked:
        say(f"{path.name}: {pool.engine_name}, {told(pool.backends)}")
    return pool


def for_photographs(card: Card | None) -> str | None:
    """``zoo:NAME`` of the zoo's network like that of ``card``, trained on degraded images, such as
    sesr_m5_photo_x2 for sesr_m5 and sesr_m5_cc0; None: there is none, or ``card`` has not seen
    clean images alone."""
    if card is None or card.trained_on != "clean":
        return None
    known, parts = names("zoo"), card.network.split("_")
    for degradation in (PHOTO, WEB):
        for count in range(len(parts), 0, -1):
            name = "_".join([*parts[:count], degradation.name, f"x{card.scale}"])
            if name in known:
                return f"zoo:{name}"
    return None


def _described(pool: EnginePool) -> str:
    seen = pool.card.trained_on if pool.card else None
    return f"×{pool.scale}, " + (f"{seen} images" if seen else "its card does not tell")
