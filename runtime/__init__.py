"""Run exported super-resolution files anywhere: numpy, Pillow and one engine.

>>> from ailsr.runtime import load
>>> upscaler = load("sesr_m5_x2_int8.tflite")
>>> upscaled = upscaler.upscale(rgb)  # uint8 H×W×3 -> uint8 2H×2W×3
"""

from ailsr.runtime.card import Card
from ailsr.runtime.errors import (
    AilsrError,
    BudgetError,
    DeviceError,
    EngineError,
    ImageError,
    ModelError,
    ParityError,
    TrainingError,
    UndecidedError,
    UnsupportedOperatorError,
    UsageError,
)
from ailsr.runtime.upscaling.upscaler import Upscaler, load

__all__ = [
    "AilsrError",
    "BudgetError",
    "Card",
    "DeviceError",
    "EngineError",
    "ImageError",
    "ModelError",
    "ParityError",
    "TrainingError",
    "UndecidedError",
    "UnsupportedOperatorError",
    "Upscaler",
    "UsageError",
    "load",
]
