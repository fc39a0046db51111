"""Recipe of a training run: every option with its default and its help."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer
from typer import Option

from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.degradation import BICUBIC, DEGRADATION_METAVAR, Degradation
from ailsr.train.ail import Importance
from ailsr.train.file_teacher import is_file
from ailsr.train.networks import FAMILIES, NETWORKS, SCALES, check_name
from ailsr.train.option_file import misfit, read, written

Arithmetic = Literal["auto", "float32", "bfloat16"]
Optimizer = Literal["soap", "adam"]


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take defaults of the flags from a TOML file."""
    if path is not None:
        context.default_map = read(path, Recipe)
    return path


IMAGE_FOLDERS = ("train", "train_lr", "val")
"""Folders of images. A resumed run may name others; their digests have to be the same."""
BEFORE = {"optimizer": "adam"}
"""Options of the runs that were written before there were these options."""
MACHINE_OPTIONS = frozenset(
    {"device", "threads", "compile", "tensorboard", "checkpoint_every", "log_every", *IMAGE_FOLDERS}
)
"""Options that may change when a run is resumed: hardware, logging and places of images."""


@dataclass(frozen=True)
class Recipe:
    """Train a compact super-resolution network.

    Writes RUN/best.pt, RUN/last.pt, RUN/log.jsonl, RUN/recipe.toml and RUN/curves.png. For example:

    ailsr-train --network sesr_m5 --scale 2 --train photos --val Set5 --output runs/m5

    Ctrl-C and SIGTERM leave a checkpoint; ailsr-train --resume --output runs/m5 continues from it
    exactly. If the images have moved, add --train and --val.
    """

    output: Annotated[Path, Option(metavar="RUN", help="Folder of the run.")] = Path("runs/latest")
    network: Annotated[
        str,
        Option(
            metavar="NAME|MODULE:CLASS",
            help=f"Network: one of {', '.join(NETWORKS)}; by depth and width, "
            f"{', '.join(family.name for family in FAMILIES.values())}; or a class of your own.",
        ),
    ] = "sesr_m5"
    scale: Annotated[int, Option(help="Upscaling factor: 2, 3 or 4.")] = 2
    train: Annotated[
        list[Path] | None,
        Option(metavar="DIR", help="Folder of high-resolution images. Repeatable."),
    ] = None
    train_lr: Annotated[
        list[Path] | None,
        Option(
            metavar="DIR",
            help="Folder of low-resolution images, one for each --train, of the same names (a.png "
            "or ax2.png for a.png). Default: the data set's own (DIV2K_train_LR_bicubic/X2 beside "
            "DIV2K_train_HR, LR_bicubic/X2 beside HR), or made by --degradation.",
        ),
    ] = None
    val: Annotated[
        Path | None,
        Option(metavar="DIR", help="Folder of images for validation; chooses best.pt by PSNR."),
    ] = None
    licence: Annotated[
        list[str] | None,
        Option(
            metavar="TEXT",
            help="Licence of training images, as their source states it. It stays in the "
            "checkpoint and in files exported from it. Repeatable.",
        ),
    ] = None
    degradation: Annotated[
        Degradation,
        Option(
            parser=Degradation.from_json,
            metavar=DEGRADATION_METAVAR,
            help="How low-resolution images are made, for validation, too. photo: light blur, "
            "noise and JPEG 60-95; web: heavier, two passes of JPEG 30-95; a TOML file, or a table "
            "in --config: steps of your own. Images are degraded anew while training goes on.",
        ),
    ] = BICUBIC
    method: Annotated[
        Literal["ail", "mse", "l1"],
        Option(help="Adaptive Importance Learning, or plain squared (mse) or absolute error (l1)."),
    ] = "ail"
    teacher: Annotated[
        str,
        Option(
            metavar="FILE|zoo:NAME|self",
            help="AIL's teacher: a checkpoint, or a file of any network of this scale that "
            "ailsr-upscale runs (.onnx, .tflite). zoo: sesr_xl of the zoo at the same scale. self: "
            "the network itself after a first round of plain training, or as given by --init.",
        ),
    ] = "zoo"
    init: Annotated[
        Path | None,
        Option(
            metavar="FILE|zoo:NAME",
            help="Checkpoint of the same network to start from. A checkpoint of a smaller scale: "
            "starts from its output with nearest-neighbour upsampling. Of a larger scale: starts "
            "from the weights that do not depend on the scale.",
        ),
    ] = None
    importance: Annotated[
        Literal["drawn", "none", "paper"],
        Option(
            help="Importance in AIL. drawn: samples patches in proportion to |T(x) - S(x)|; T is "
            "the teacher, S the student at the end of the previous round (at first, --init or "
            "bicubic enlargement). The loss is the absolute error to T(x). With --teacher self: "
            "|S(x) - bicubic|, and the loss is the error to the image. none: the loss to T(x), "
            "uniform sampling (plain distillation). paper: a weight w of the residual before "
            "squaring; it rises from round to round, and each round restarts the learning rate."
        ),
    ] = "drawn"
    teacher_sees: Annotated[
        Literal["degraded", "clean"],
        Option(
            help="Input of AIL's teacher under --degradation: the student's own, or the bicubic "
            "reduction that it was made from."
        ),
    ] = "clean"
    rounds: Annotated[
        int | None,
        Option(
            min=1,
            help="Rounds of AIL, each with new importance; otherwise, restarts of the learning "
            "rate. Default: 10 for --importance paper, 5 for drawn, 1 otherwise.",
        ),
    ] = None
    steps: Annotated[int, Option(min=1, help="Optimiser steps, all rounds together.")] = 40_000
    batch: Annotated[int, Option(min=1, help="Patches per step.")] = 16
    patch: Annotated[int, Option(min=8, help="Side of a patch in low-resolution pixels.")] = 48
    optimizer: Annotated[
        Optimizer,
        Option(
            help="soap: Adam in the eigenbasis of the gradient's covariance; trains SESR in its "
            "fused form. adam: Adam; trains SESR's wide linear blocks."
        ),
    ] = "soap"
    learning_rate: Annotated[
        float | None,
        Option(
            help="Learning rate at the start of the cosine. One cosine per run; one per round with "
            "--importance paper, mse and l1. Default: 6e-3 with soap, 1e-3 with adam."
        ),
    ] = None
    final_learning_rate: Annotated[
        float, Option(help="Learning rate at the end of the cosine.")
    ] = 1e-6
    warmup: Annotated[int, Option(min=0, help="Steps of linear warm-up.")] = 100
    clip: Annotated[float, Option(help="Largest L2 norm of the gradient.")] = 0.4
    ema: Annotated[
        float,
        Option(min=0.0, max=0.99999, help="Decay of the averaged weights; 0: no average."),
    ] = 0.999
    alpha: Annotated[float, Option(help="paper: steepness of w in round 0.")] = 100.0
    beta: Annotated[float, Option(help="paper: teacher's error at which w falls fastest.")] = 0.01
    lambda_: Annotated[float, Option("--lambda", help="paper: rise of w in round 1.")] = 0.15
    rho: Annotated[float, Option(help="paper: further rise in each later round.")] = 0.15
    gamma: Annotated[float, Option(help="paper: decay of the rise with the student's error.")] = (
        10.0
    )
    max_megapixels: Annotated[
        float,
        Option(
            help="Megapixels of a training image. Larger ones are shrunk by an integer factor, "
            "since camera photographs are blurred at full size. DIV2K's stay as they are."
        ),
    ] = 4.2
    seed: Annotated[
        int, Option(min=0, max=2**63 - 1, help="Seed of initial weights and patches.")
    ] = 0
    device: Annotated[str, Option(help="Device: auto, cpu, cuda or mps.")] = "auto"
    arithmetic: Annotated[
        Arithmetic,
        Option(
            help="Number format. auto: bfloat16 on GPUs and on CPUs with AMX, else float32; try "
            "bfloat16 on AMD Zen 4 and 5. Skips and losses stay float32."
        ),
    ] = "auto"
    compile: Annotated[
        bool,
        Option(
            "--compile",
            help="Compile the network: one minute more at the start, then shorter steps. Needs a "
            "C++ compiler on a CPU.",
        ),
    ] = False
    threads: Annotated[int, Option(min=0, help="CPU threads; 0: PyTorch's default.")] = 0
    checkpoint_every: Annotated[int, Option(min=1, help="Steps from one last.pt to the next.")] = (
        1000
    )
    log_every: Annotated[int, Option(min=1, help="Steps between lines of log.jsonl.")] = 100
    tensorboard: Annotated[
        bool,
        Option("--tensorboard", help="Log to RUN/tensorboard, too. Needs the package tensorboard."),
    ] = False
    resume: Annotated[bool, Option("--resume", help="Continue from RUN/last.pt.")] = False
    config: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            is_eager=True,
            callback=_read_config,
            help="TOML file with defaults of these flags, such as another RUN/recipe.toml. A class "
            "of your own needs --network, too.",
        ),
    ] = None
    json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False

    def __post_init__(self) -> None:
        check_name(self.network)
        if self.scale not in SCALES:
            raise UsageError(f"--scale {self.scale} is not supported: choose 2, 3 or 4")
        if not self.train and not self.resume:
            raise UsageError("--train is missing: name a folder of high-resolution images")
        if self.train_lr and len(self.train_lr) != len(self.train or []):
            raise UsageError(
                f"{len(self.train_lr)} --train-lr for {len(self.train or [])} --train: name one "
                "folder of low-resolution images for each"
            )
        if self.train_lr and self.degraded:
            raise UsageError("--train-lr names finished images: leave out --degradation")
        if self.teacher not in ("zoo", "self") and self.method != "ail":
            raise UsageError(
                f"--teacher {self.teacher} goes with --method ail, not with {self.method}: leave "
                "it out, or give --teacher zoo if a --config names it"
            )
        if self.importance != "drawn" and self.method != "ail":
            raise UsageError(
                f"--importance {self.importance} goes with --method ail, not with {self.method}: "
                "leave it out, or give --importance drawn if a --config names it"
            )
        if is_file(self.teacher) and self.degraded and self.teacher_sees == "degraded":
            raise UsageError(
                f"--teacher {self.teacher} runs on whole images, before training: leave out "
                "--teacher-sees degraded, or name a checkpoint"
            )
        paper = self.method == "ail" and self.importance == "paper"
        if paper and self.degraded and self.teacher_sees == "degraded":
            raise UsageError(
                "--importance paper weighs by the teacher's error of the first round, and "
                "--degradation makes the images anew: leave out --teacher-sees degraded"
            )
        if self.importance == "none" and self.teacher == "self":
            raise UsageError("--importance none leaves nothing to learn from --teacher self")
        positive = {
            "--learning-rate": self.peak_learning_rate,
            "--clip": self.clip,
            "--max-megapixels": self.max_megapixels,
        }
        for flag, value in positive.items():
            if not 0 < value < math.inf:
                raise UsageError(f"{flag} {value} has to be a number above 0")
        if not 0 <= self.final_learning_rate <= self.peak_learning_rate:
            raise UsageError(
                f"--final-learning-rate {self.final_learning_rate} has to lie between 0 and "
                f"--learning-rate {self.peak_learning_rate}"
            )
        if self.steps < self.segments:
            raise UsageError(
                f"--steps {self.steps} are fewer than the {self.segments} rounds: raise --steps or "
                "lower --rounds"
            )

    @property
    def constants(self) -> Importance:
        """The constants of AIL's maps."""
        return Importance(self.alpha, self.beta, self.lambda_, self.rho, self.gamma)

    @property
    def squared_error(self) -> bool:
        """True if plain training minimises squared error, False for absolute error."""
        return self.method == "mse" or (self.method == "ail" and self.importance == "paper")

    @property
    def peak_learning_rate(self) -> float:
        """``--learning-rate``, or that of the optimiser."""
        if self.learning_rate is not None:
            return self.learning_rate
        return {"soap": 6e-3, "adam": 1e-3}[self.optimizer]

    @property
    def teacher_model(self) -> str | None:
        """The checkpoint of the teacher; None for ``self`` and for plain training."""
        if self.method != "ail" or self.teacher == "self":
            return None
        return f"zoo:sesr_xl_x{self.scale}" if self.teacher == "zoo" else self.teacher

    @property
    def degraded(self) -> bool:
        """True if low-resolution images are more than bicubic reductions."""
        return bool(self.degradation.steps)

    @property
    def round_count(self) -> int:
        """Number of rounds, without the plain round before them."""
        rounds = {"paper": 10, "drawn": 5, "none": 1}
        return self.rounds or (rounds[self.importance] if self.method == "ail" else 1)

    @property
    def has_plain_round(self) -> bool:
        """True if a round of plain training comes first, to make the network its own teacher."""
        return self.method == "ail" and self.teacher == "self" and self.init is None

    @property
    def segments(self) -> int:
        """Number of all rounds; each has the same number of steps."""
        return self.round_count + self.has_plain_round

    def segment_start(self, segment: int) -> int:
        """The step at which ``segment`` (from 0) starts."""
        return self.steps * segment // self.segments

    def segment_end(self, segment: int) -> int:
        """The step at which ``segment`` (from 0) ends."""
        return self.segment_start(segment + 1)

    def to_dict(self) -> dict[str, Any]:
        """The options of the run as JSON values; paths as given."""
        left_out = {"resume", "config", "json"}
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        values["learning_rate"] = self.peak_learning_rate
        return {k: _json_value(v) for k, v in values.items()}

    def to_toml(self) -> str:
        """Every option with a value, one line each; ``--config`` reads it."""
        return written(self.to_dict())

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe stored by ``to_dict``. Raises UsageError for a value of another type."""
        types = get_type_hints(cls)
        values = BEFORE | values
        for key, value in values.items():
            if value is not None and (expected := misfit(value, types[key])):
                raise UsageError(f"the stored {key} is {json.dumps(value)}, not {expected}")
        paths = {"output": Path, "val": Path, "init": Path}
        typed: dict[str, Any] = {
            k: paths[k](v) if k in paths and v is not None else v for k, v in values.items()
        }
        typed["train"] = [Path(p) for p in values.get("train") or []]
        if lr := values.get("train_lr"):
            typed["train_lr"] = [Path(p) for p in lr]
        typed["degradation"] = Degradation.from_json(values.get("degradation", "bicubic"))
        return cls(**typed)


def _json_value(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Degradation):
        return value.to_json()
    if isinstance(value, list | tuple):
        return [_json_value(v) for v in value]
    return value
