"""``ailsr-train``, also ``python -m ailsr.train`` for ``torchrun``."""

from ailsr.runtime.commands.command import one_line_errors
from ailsr.train.openmp import limit_spinning


def cli() -> None:
    """Import PyTorch, which takes seconds, with Ctrl-C handled; then train."""
    with one_line_errors():
        limit_spinning()
        from ailsr.train import command

        command.cli()


if __name__ == "__main__":
    cli()
