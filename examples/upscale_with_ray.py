"""Upscale a video on the machines of a Ray cluster: the parts of ``ailsr-upscale --part``, then one
join.

    python examples/upscale_with_ray.py sesr_m5_x2_int8.tflite film.mp4 -o out.mp4 --parts 16

Without ``--address`` it starts a cluster of this machine's cores; ``--address auto`` takes the one
that runs here. All machines need ailsr, and see the files under the same names. Finished segments
are placed in ``out.mp4.parts`` whole, by any machine with the same bytes: so a part whose worker
dies is begun again elsewhere, what it had finished counts, and nothing is in the result twice.
Options after ``--`` go to ``ailsr-upscale``, as in ``-- --codec hevc --engine auto``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import ray

UPSCALE = [sys.executable, "-c", "from ailsr.runtime.commands.upscale import cli; cli()"]
RETRIES = 10
"""Times that a part is begun again when its worker or its machine dies."""


@ray.remote(max_retries=RETRIES)
def upscale_part(command: list[str], part: str) -> str:
    """Make one ``part``, such as 3/16; its closing line. An error of the command ends the run: it
    would come again."""
    done = subprocess.run([*command, "--part", part], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stderr.strip().rpartition("\n")[2]


def main() -> int:
    """Make all parts, then join them; the exit code."""
    arguments = _parser().parse_args()
    files = [str(Path(path).resolve()) for path in (arguments.file, arguments.video)]
    command = [*UPSCALE, *files, "--output", str(arguments.output.resolve())]
    command += ["--threads", str(arguments.threads), *arguments.options]
    ray.init(
        arguments.address,
        num_cpus=arguments.workers * arguments.threads if arguments.workers else None,
        log_to_driver=False,
    )
    make = upscale_part.options(num_cpus=arguments.threads)
    parts = [f"{number}/{arguments.parts}" for number in range(1, arguments.parts + 1)]
    running = {make.remote(command, part): part for part in parts}
    try:
        while running:
            (finished,), _ = ray.wait(list(running), num_returns=1)
            sys.stderr.write(f"part {running.pop(finished)}: {ray.get(finished)}\n")
    except ray.exceptions.RayError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        ray.shutdown()
    return subprocess.run([*command, "--resume"], check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("file", help="exported file")
    parser.add_argument("video")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=16, help="more than there are workers")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each worker")
    parser.add_argument("--workers", type=int, help="of a cluster that is started here")
    parser.add_argument("--address", help="of a cluster, or auto")
    parser.add_argument("options", nargs="*", help="after --: those of ailsr-upscale")
    return parser


if __name__ == "__main__":
    sys.exit(main())
