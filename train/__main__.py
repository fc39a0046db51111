"""``python -m ailsr.train``, which ``torchrun -m ailsr.train`` starts in each process."""

from ailsr.train.command import cli

if __name__ == "__main__":
    cli()
