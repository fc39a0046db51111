"""Every error a user can cause, as one tree:

AilsrError             the message says what happened, the value, and what to do next
├── UsageError         options that do not fit together
├── ImageError         an image that cannot be read, written or used
├── ModelError         a model file that is missing, corrupt or of a kind we cannot use
│   └── UnsupportedOperatorError   an operator that no writer knows
├── EngineError        no engine for a file, or an engine that failed
├── BudgetError        no file is fast enough
├── UndecidedError     two measurements that cannot be told apart or called equal; exit code 3
├── DeviceError        a device that cannot be reached or used
├── ParityError        an exported file that does not compute what the network computes
└── TrainingError      training that cannot start or go on
"""

from __future__ import annotations


class AilsrError(Exception):
    """Base of all errors that a command reports in one line, without a traceback."""

    exit_code = 1


class UsageError(AilsrError):
    """Options that do not fit together, or a value outside its range."""


class ImageError(AilsrError):
    """An image that cannot be read, written or used."""


class ModelError(AilsrError):
    """A model file that is missing, corrupt, or of a kind we cannot use."""


class UnsupportedOperatorError(ModelError):
    """An operator for which there is no emitter; the message names it and its place."""


class EngineError(AilsrError):
    """No engine is installed for a file, or the engine refused it."""


class BudgetError(AilsrError):
    """No file is fast enough for a budget of milliseconds."""


class UndecidedError(AilsrError):
    """Two measurements cannot be compared to the precision that was asked for."""

    exit_code = 3


class DeviceError(AilsrError):
    """A device that cannot be reached or used, or was lost while it measured."""


class ParityError(AilsrError):
    """An exported file does not compute what the network computes."""


class TrainingError(AilsrError):
    """Training cannot start or go on."""


def one_line(reason: object, longest: int | None = 300) -> str:
    """``reason``, an exception or a text, in one line of at most ``longest`` characters (None: any
    number). An exception without a message gives the name of its class.
    """
    text = " ".join(str(reason).split()) or type(reason).__name__
    return text if longest is None else shortened(text, longest)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or the name of its class."""
    return one_line(next((line for line in str(error).splitlines() if line.strip()), error))


def shortened(text: str, longest: int = 60) -> str:
    """``text``, or its beginning with an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
