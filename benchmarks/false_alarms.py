"""How often a comparison calls an unchanged file changed, and how often it finds a real change.

    python benchmarks/false_alarms.py FILE SLOWER --pairs 40 --load

FILE and SLOWER have the same output size; about 10 % between them is a good test. Each of the
reports measures both; neighbouring reports are compared by ``ailsr-bench compare``: a file with
itself, where every change is a false alarm, and FILE with SLOWER. Then ``ailsr-bench --against``
does the same in one run. With ``--load``, other processes come and go meanwhile.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any

from typer import Argument, Option

from ailsr.runtime.bench.comparison import compare
from ailsr.runtime.commands.command import entry_point, message, print_table
from ailsr.runtime.errors import EngineError

BENCH = Path(sys.executable).with_name("ailsr-bench")
BUSY = [sys.executable, "-c", "while True: pass"]


@dataclass(frozen=True)
class Config:
    """How often a comparison calls an unchanged file changed, and how often it finds a change."""

    file: Annotated[Path, Argument(help="A file.", metavar="FILE")]
    slower: Annotated[Path, Argument(help="One that takes a little longer.", metavar="SLOWER")]
    pairs: Annotated[int, Option(min=2, help="Pairs of neighbouring reports.")] = 40
    against: Annotated[int, Option(min=0, help="Runs of --against, of each kind.")] = 10
    seconds: Annotated[float, Option(min=0, help="As for ailsr-bench.")] = 2.0
    pause: Annotated[float, Option(min=0, help="Seconds between two reports.")] = 0.0
    load: Annotated[bool, Option("--load", help="Busy processes come and go.")] = False


def main(config: Config) -> None:
    """Measure, compare, print."""
    found: dict[str, Counter[str]] = {}
    with busy() if config.load else tempfile.TemporaryDirectory():
        reports = []
        for number in range(config.pairs + 1):
            message(f"report {number + 1} of {config.pairs + 1}")
            reports.append(bench(config, config.file, config.slower))
            time.sleep(config.pause)
        neighbours = list(itertools.pairwise(reports))
        for place, file in enumerate((config.file, config.slower)):
            found[f"compare: {file.name} with itself"] = Counter(
                verdict(only(old, place), only(new, place)) for old, new in neighbours
            )
        found[f"compare: {config.file.name}, then {config.slower.name}"] = Counter(
            verdict(only(old, 0), only(new, 1)) for old, new in neighbours
        )
        for new in (config.file, config.slower):
            counts: Counter[str] = Counter()
            for number in range(config.against):
                message(f"{new.name} --against {config.file.name}, {number + 1}")
                options = ("--against", config.file, "--fail-on-slower", 5)
                document = bench(config, new, *options, codes=(0, 1, 3))
                counts[document["comparison"]["changes"][0]["verdict"]] += 1
            found[f"--against: {config.file.name}, then {new.name}"] = counts
    verdicts = ("same", "faster", "slower", "unknown")
    print_table(
        ["comparison", *verdicts],
        [[name, *(str(counts[v]) for v in verdicts)] for name, counts in found.items()],
    )


def bench(config: Config, *arguments: object, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """The report of ``ailsr-bench`` with these arguments."""
    command = [BENCH, *arguments, "--seconds", config.seconds, "--json"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise EngineError(done.stderr.strip())
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def only(report: dict[str, Any], place: int) -> dict[str, Any]:
    """``report`` of one of its files, under a name that is always the same."""
    return {**report, "files": [{**report["files"][place], "file": "file"}]}


def verdict(old: dict[str, Any], new: dict[str, Any]) -> str:
    return compare(old, new).changes[0].verdict


@contextmanager
def busy() -> Iterator[None]:
    """None, one or two busy processes beside what runs within, for some seconds each."""
    end = Event()

    def come_and_go() -> None:
        chance = random.Random(0)
        while not end.is_set():
            others = [subprocess.Popen(BUSY) for _ in range(chance.choice((0, 0, 1, 2)))]
            end.wait(chance.uniform(2, 30))
            for other in others:
                other.kill()
                other.wait()

    thread = Thread(target=come_and_go)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


if __name__ == "__main__":
    entry_point(Config, main)()
