"""Commands from frozen dataclasses: parse, call one typed function, exit with a code.

The dataclass is the command's whole interface: its docstring is the help, each field's
``Annotated[..., typer.Option(help=...)]`` is one flag. Results go to stdout, progress and messages
to stderr; an AilsrError becomes one line and its exit code (1), Ctrl-C exit code 130. SIGTERM and
SIGHUP end a command as Ctrl-C does, with 143 and 129.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Annotated, Any, Protocol, TypeVar, get_type_hints

import typer
from rich.text import Text

from ailsr.runtime.commands.terminal import (
    let_go_of_stdout,
    message,
    open_streams,
    print_json,
    print_raw,
    print_table,
    progress,
    stderr,
    stdout,
)
from ailsr.runtime.errors import AilsrError, one_line
from ailsr.runtime.stopping import Stopped, as_exceptions, ignore_more, restored
from ailsr.runtime.version import VERSION

Config = TypeVar("Config")

_given: ContextVar[frozenset[str]] = ContextVar("given", default=frozenset())
_typed: ContextVar[frozenset[str]] = ContextVar("typed", default=frozenset())


def given() -> frozenset[str]:
    """The fields of the command's config that the user gave, even if at their defaults."""
    return _given.get()


def typed() -> frozenset[str]:
    """Those of them that stand on the command line itself, not in a file that it names."""
    return _typed.get()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what a user or the machine can cause into one line on stderr and an exit code."""
    with as_exceptions():  # until the last word: a second signal must not cut it off
        try:
            yield
        except AilsrError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt as error:
            ignore_more()
            stopped = error if isinstance(error, Stopped) else Stopped()
            _fail(str(stopped), 128 + stopped.number)
        except BrokenPipeError:
            let_go_of_stdout()
            raise SystemExit(141) from None
        except MemoryError:
            _fail("out of memory: use smaller images or fewer of them at a time", 1)
        except OSError as error:
            let_go_of_stdout()
            if error.errno == errno.ENOSPC:
                _fail("the disk is full: free some space", 1)
            where = f" ({error.filename})" if error.filename else ""
            _fail(f"{error.strerror or error}{where}", 1)


class EntryPoint(Protocol):
    """The function behind a console script."""

    def __call__(self, arguments: Sequence[str] | None = None, name: str | None = None) -> None:
        """Run with ``arguments`` as the command ``name``; None: those of the process."""


def entry_point(config: type[Config], main: Callable[[Config], None]) -> EntryPoint:
    """The function behind a console script: flags into ``config``, ``config`` into ``main``.

    ``config`` is a dataclass whose fields are annotated with ``typer.Option`` or
    ``typer.Argument``.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command(config, main))
    return _entry_point(app)


def entry_points(help: str, commands: Mapping[str, Callable[..., None]]) -> EntryPoint:
    """The function behind a console script of several commands, each made by ``command``."""
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=help
    )

    @app.callback()
    def _(version: Version = False) -> None:
        pass

    for name, run in commands.items():
        app.command(name)(run)
    return _entry_point(app)


def _entry_point(app: typer.Typer) -> EntryPoint:
    def cli(arguments: Sequence[str] | None = None, name: str | None = None) -> None:
        open_streams()
        with contextlib.ExitStack() as stack:
            if arguments is not None:  # the process goes on
                stack.enter_context(restored())
            stack.enter_context(one_line_errors())  # of flags' callbacks; commands have their own
            copy_context().run(app, arguments, prog_name=name)  # what is ``given`` ends with it

    return cli


def _print_version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"ailsr {VERSION}")
        raise typer.Exit()


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show version.")
]


def command(config: type[Config], main: Callable[[Config], None]) -> Callable[..., None]:
    """The function that typer turns into a command: flags into ``config``, that into ``main``."""

    def run(context: typer.Context, **values: Any) -> None:  # noqa: ANN401
        values.pop("version")
        sources = {name: context.get_parameter_source(name) for name in values}
        _given.set(frozenset(n for n, s in sources.items() if s and s.name != "DEFAULT"))
        _typed.set(frozenset(n for n, s in sources.items() if s and s.name == "COMMANDLINE"))
        with one_line_errors():
            main(config(**values))
            sys.stdout.flush()  # here, where a full disk is told in one line

    hints = get_type_hints(config, include_extras=True)
    hints["version"] = Version
    names = list(inspect.signature(config).parameters)
    made = {
        f.name: f.default_factory()
        for f in dataclasses.fields(config)  # type: ignore[arg-type]  # TypeVar knows no dataclass
        if f.default_factory is not dataclasses.MISSING
    }
    parameters = [
        p.replace(
            annotation=hints[n],
            kind=inspect.Parameter.KEYWORD_ONLY,
            default=made.get(n, p.default),
        )
        for n, p in inspect.signature(config).parameters.items()
    ]
    parameters.append(
        inspect.Parameter(
            "version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=hints["version"]
        )
    )
    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    run.__annotations__ = {n: hints[n] for n in [*names, "version"]} | {"context": typer.Context}
    paragraphs = (inspect.getdoc(config) or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(p.split()) for p in paragraphs)
    return run


def _fail(text: str, code: int) -> None:
    line = Text.assemble(("error:", "bold red"), " ", stderr.clean(one_line(text, None)))
    with contextlib.suppress(OSError):  # the terminal may be gone
        stderr.print(line, soft_wrap=True)
    raise SystemExit(code)


__all__ = [
    "command",
    "entry_point",
    "entry_points",
    "given",
    "message",
    "one_line_errors",
    "print_json",
    "print_raw",
    "print_table",
    "progress",
    "stdout",
    "typed",
]
