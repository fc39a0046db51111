"""Runs of training for the tests: interrupted at a step, and what they left."""

import json
import os
import signal

from ailsr.train.checkpoint import load
from ailsr.train.events import Events


def weights(path):
    return load(path).network.state_dict()


def at(number, act, activity="training"):
    """Events that ``act`` when as many steps, or images of another activity, are done."""

    def progress(now, done, total, note):
        if (now, done) == (activity, number):
            act()

    return Events(progress=progress)


def kill(number):
    os.kill(os.getpid(), number)


def interrupt():
    kill(signal.SIGINT)


def log(run):
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("steps_per_second", None)
    return lines
