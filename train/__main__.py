"""``ailsr-train``, and ``python -m ailsr.train``, which ``torchrun`` starts in each process."""

from ailsr.runtime.commands.command import one_line_errors
from ailsr.train.openmp import let_waiting_threads_sleep


def cli() -> None:
    """Load PyTorch, which takes seconds in which Ctrl-C may come, and train."""
    with one_line_errors():
        let_waiting_threads_sleep()
        from ailsr.train import command

        command.cli()


if __name__ == "__main__":
    cli()
