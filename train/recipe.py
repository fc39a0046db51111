"""The recipe of a training run: every option, its default and its help, in one place."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer import Option

from ailsr.runtime import documents
from ailsr.runtime.errors import UsageError
from ailsr.train.ail import Importance
from ailsr.train.networks import FAMILIES, NETWORKS, SCALES, check_name

Arithmetic = Literal["auto", "float32", "bfloat16"]


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the values of a TOML file the defaults of the flags that are not given."""
    if path is not None:
        context.default_map = read_toml(path)
    return path


PICTURES = ("train", "val")
"""Options that say where the pictures are; that they are the same is checked by their pixels."""
OF_THE_MACHINE = frozenset(
    {"device", "threads", "compile", "tensorboard", "checkpoint_every", "log_every", *PICTURES}
)
"""Options that a run may go on with otherwise: they say where and how it computes, not what."""


TYPES: dict[Any, tuple[Any, str]] = {
    list: (list, 'a list of texts, as in ["photos"]'),
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
}
"""By the type of an option: what a TOML file may say for it."""


@dataclass(frozen=True)
class Recipe:
    """Train a compact super-resolution network.

    Writes RUN/best.pt, RUN/last.pt, RUN/log.jsonl, RUN/recipe.toml and RUN/curves.png. For example:

    ailsr-train --network sesr_m5 --scale 2 --train photos --val Set5 --output runs/m5

    Ctrl-C leaves a checkpoint, as SIGTERM does; ailsr-train --resume --output runs/m5 goes on from
    it exactly. Where the pictures have moved, --train and --val say where they are now.
    """

    output: Annotated[Path, Option(metavar="RUN", help="Folder of the run.")] = Path("runs/latest")
    network: Annotated[
        str,
        Option(
            metavar="NAME|MODULE:CLASS",
            help=f"One of {', '.join(NETWORKS)}; by depth and width one of "
            f"{', '.join(family.name for family in FAMILIES.values())}; or a class of your own.",
        ),
    ] = "sesr_m5"
    scale: Annotated[int, Option(help="Enlargement: 2, 3 or 4.")] = 2
    train: Annotated[
        list[Path] | None,
        Option(metavar="DIR", help="Folder of high-resolution pictures. May be repeated."),
    ] = None
    val: Annotated[
        Path | None,
        Option(metavar="DIR", help="Folder for the PSNR of each round; best.pt is chosen by it."),
    ] = None
    method: Annotated[
        Literal["ail", "mse", "l1"],
        Option(help="Adaptive Importance Learning, or plain squared or absolute error."),
    ] = "ail"
    teacher: Annotated[
        str,
        Option(
            metavar="FILE|zoo:NAME|self",
            help="Checkpoint that tells AIL what matters; zoo: sesr_xl of the zoo at the scale; "
            "self: the network's own state after a first round of plain training (or as given by "
            "--init).",
        ),
    ] = "zoo"
    init: Annotated[
        Path | None,
        Option(
            metavar="FILE|zoo:NAME",
            help="Start from this checkpoint of the same network: if of a smaller scale, with its "
            "picture, pixels repeated; if of a larger one, with all weights but those that depend "
            "on the scale.",
        ),
    ] = None
    importance: Annotated[
        Literal["drawn", "none", "paper"],
        Option(
            help="AIL's use of importance. drawn: patches are drawn in proportion to what "
            "the student lacks to the teacher T, |T(x) - S(x)|, S being the student at the end of "
            "the round before (plain enlargement at first), and learn T(x) by absolute error. "
            "none: the same, drawn everywhere alike (plain distillation). paper: importance w "
            "weighs the residual before squaring and rises from round to round, each of which "
            "restarts the learning rate."
        ),
    ] = "drawn"
    rounds: Annotated[
        int | None,
        Option(
            min=1,
            help="Rounds: of AIL, in each of which importance is taken anew; else restarts of the "
            "learning rate. Default: 10 for --importance paper, 5 for drawn, 1 otherwise.",
        ),
    ] = None
    steps: Annotated[int, Option(min=1, help="Optimiser steps in all.")] = 200_000
    batch: Annotated[int, Option(min=1, help="Patches per step.")] = 16
    patch: Annotated[int, Option(min=8, help="Side of a patch in low-resolution pixels.")] = 48
    learning_rate: Annotated[
        float,
        Option(
            help="Adam's, at the start of a cosine: one over the whole run, but with --importance "
            "paper and with plain restarts one a round."
        ),
    ] = 1e-3
    final_learning_rate: Annotated[float, Option(help="Adam's, at the end of the cosine.")] = 1e-6
    warmup: Annotated[int, Option(min=0, help="Steps of linear warm-up into a cosine.")] = 100
    clip: Annotated[float, Option(help="Largest norm of the gradient.")] = 0.4
    ema: Annotated[
        float,
        Option(min=0.0, max=0.99999, help="Largest decay of the averaged weights; 0 for none."),
    ] = 0.999
    alpha: Annotated[float, Option(help="paper: steepness of the first importance.")] = 100.0
    beta: Annotated[float, Option(help="paper: teacher's error where it falls fastest.")] = 0.01
    lambda_: Annotated[float, Option("--lambda", help="paper: rise of importance in round 1.")] = (
        0.15
    )
    rho: Annotated[float, Option(help="paper: further rise with each later round.")] = 0.15
    gamma: Annotated[float, Option(help="paper: fall of the rise with the student's error.")] = 10.0
    max_megapixels: Annotated[
        float,
        Option(
            help="Larger training pictures are shrunk by an integer factor to this size: camera "
            "photographs are sharp enough then. DIV2K's stay as they are."
        ),
    ] = 4.2
    seed: Annotated[int, Option(min=0, max=2**63 - 1, help="Seed of weights and patches.")] = 0
    device: Annotated[str, Option(help="auto, cpu, cuda, mps.")] = "auto"
    arithmetic: Annotated[
        Arithmetic,
        Option(
            help="auto: bfloat16 on GPUs and on CPUs with AMX (worth naming on AMD's Zen 4 and 5, "
            "too); skips and losses stay float32."
        ),
    ] = "auto"
    compile: Annotated[
        bool,
        Option(
            "--compile",
            help="Compile the network's step: a minute more at the start, shorter steps after it; "
            "on a CPU it needs a C++ compiler.",
        ),
    ] = False
    threads: Annotated[int, Option(min=0, help="CPU threads; 0: torch's own choice.")] = 0
    checkpoint_every: Annotated[int, Option(min=1, help="Steps between writes of last.pt.")] = 1000
    log_every: Annotated[int, Option(min=1, help="Steps between lines of log.jsonl.")] = 100
    tensorboard: Annotated[
        bool,
        Option("--tensorboard", help="Log to RUN/tensorboard, too; needs the package tensorboard."),
    ] = False
    resume: Annotated[bool, Option("--resume", help="Go on from RUN/last.pt.")] = False
    config: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            is_eager=True,
            callback=_read_config,
            help="TOML file with defaults for these flags, such as another RUN/recipe.toml. It "
            "cannot name a class of your own: --network does.",
        ),
    ] = None
    json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False

    def __post_init__(self) -> None:
        check_name(self.network)
        if self.scale not in SCALES:
            raise UsageError(f"--scale {self.scale} is not supported: choose 2, 3 or 4")
        if not self.train and not self.resume:
            raise UsageError("--train is missing: name a folder of high-resolution pictures")
        if self.teacher not in ("zoo", "self") and self.method != "ail":
            raise UsageError(f"--teacher goes with --method ail, not with {self.method}")
        if self.importance == "none" and self.teacher == "self":
            raise UsageError("--importance none leaves nothing to learn from --teacher self")
        for name in ("learning_rate", "clip", "max_megapixels"):
            if not 0 < getattr(self, name) < math.inf:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} {getattr(self, name)} has to be a number above 0")
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise UsageError(
                f"--final-learning-rate {self.final_learning_rate} has to lie between 0 and "
                f"--learning-rate {self.learning_rate}"
            )
        if self.steps < self.segments:
            raise UsageError(f"--steps {self.steps} is less than one step for each of the rounds")

    @property
    def constants(self) -> Importance:
        """The constants of AIL's maps."""
        return Importance(self.alpha, self.beta, self.lambda_, self.rho, self.gamma)

    @property
    def squares(self) -> bool:
        """Whether plain training minimises squared error; otherwise absolute error."""
        return self.method == "mse" or (self.method == "ail" and self.importance == "paper")

    @property
    def teacher_model(self) -> str | None:
        """The checkpoint of the teacher, None when there is none but the network itself."""
        if self.method != "ail" or self.teacher == "self":
            return None
        return f"zoo:sesr_xl_x{self.scale}" if self.teacher == "zoo" else self.teacher

    @property
    def round_count(self) -> int:
        """Rounds of the method, without a round of plain training before them."""
        rounds = {"paper": 10, "drawn": 5, "none": 1}
        return self.rounds or (rounds[self.importance] if self.method == "ail" else 1)

    @property
    def pretrains(self) -> bool:
        """Whether a round of plain training comes first, to be its own teacher."""
        return self.method == "ail" and self.teacher == "self" and self.init is None

    @property
    def segments(self) -> int:
        """Rounds in all; the steps are shared equally among them."""
        return self.round_count + self.pretrains

    def segment_start(self, segment: int) -> int:
        """The step at which ``segment`` (from 0) starts."""
        return self.steps * segment // self.segments

    def segment_end(self, segment: int) -> int:
        """The step at which ``segment`` (from 0) ends."""
        return self.segment_start(segment + 1)

    def to_dict(self) -> dict[str, Any]:
        """The options of the run itself, as JSON values; paths as they were given."""
        left_out = {"resume", "config", "json"}
        values = {k: v for k, v in asdict(self).items() if k not in left_out}
        return {k: _plain(v) for k, v in values.items()}

    def to_toml(self) -> str:
        """Every option with a value, one line each; ``--config`` reads it."""
        lines = (
            f"{key.rstrip('_')} = {_toml(value)}"
            for key, value in self.to_dict().items()
            if value is not None
        )
        return "\n".join(lines) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe stored by ``to_dict``. Raises UsageError for a value of another type."""
        types = get_type_hints(cls)
        for key, value in values.items():
            if value is not None and (expected := _misfit(value, types[key])):
                raise UsageError(f"the stored {key} is {json.dumps(value)}, not {expected}")
        paths = {"output": Path, "val": Path, "init": Path}
        typed: dict[str, Any] = {
            k: paths[k](v) if k in paths and v is not None else v for k, v in values.items()
        }
        typed["train"] = [Path(p) for p in values.get("train") or []]
        return cls(**typed)


def _toml(value: Any) -> str:  # noqa: ANN401
    """``value`` as TOML writes it: as JSON, but for infinities and characters beyond its 16 bits.

    Raises UsageError for what is no text, such as a path in another encoding than UTF-8.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{value!a} is no UTF-8: rename it") from error
    return text


def read_toml(path: Path) -> dict[str, Any]:
    """Options of a recipe file, by the names of their parameters.

    Raises UsageError when it is missing, not TOML, or holds an option that does not exist.
    """
    try:
        values = tomllib.loads(documents.read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--config {path}: cannot be read ({error})") from error
    names = {f.name.rstrip("_"): f.name for f in fields(Recipe) if f.name != "config"}
    unknown = [key for key in values if key not in names]
    if unknown:
        near = get_close_matches(unknown[0], names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"--config {path}: there is no option {unknown[0]!r}{hint}")
    types = get_type_hints(Recipe)
    for key, value in values.items():
        if expected := _misfit(value, types[names[key]]):
            raise UsageError(f"--config {path}: {key} = {json.dumps(value)} has to be {expected}")
    return {names[key]: value for key, value in values.items()}


def _misfit(value: Any, hint: Any) -> str | None:  # noqa: ANN401
    """What ``value`` would have to be for an option of the type ``hint``; None where it is."""
    if isinstance(hint, UnionType):  # with None, which TOML has not
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return None if value in choices else f"one of {', '.join(choices)}"
    kind, words = TYPES.get(get_origin(hint) or hint, (str, 'a text, as in "photos"'))
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is list:
        fits = fits and all(isinstance(item, str) for item in value)
    return None if fits else words


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
