"""Learning rate and decay of the averaged weights, by step; a segment is a round of the run."""

from __future__ import annotations

import math

from ailsr.train.recipe import Recipe


def learning_rate(recipe: Recipe, segment: int, step: int) -> float:
    """The optimiser's learning rate at ``step`` of ``segment``: a cosine with a linear warm-up."""
    start, end = _cosine(recipe, segment)
    done = step - start
    height = recipe.peak_learning_rate - recipe.final_learning_rate
    rate = recipe.final_learning_rate + height * (1 + math.cos(math.pi * done / (end - start))) / 2
    return rate * min(1.0, (done + 1) / (recipe.warmup + 1))


def average_decay(recipe: Recipe, segment: int, step: int) -> float:
    """Decay of the averaged weights at ``step``: rises to ``--ema`` after each restart.

    An average across the jump of a restart is worse than either side of it (0.5 dB, seen with
    rounds of 700 steps).
    """
    done = step - _cosine(recipe, segment)[0]
    return min(recipe.ema, (1 + done) / (10 + done))


def _cosine(recipe: Recipe, segment: int) -> tuple[int, int]:
    """First and last step of the cosine that ``segment`` belongs to."""
    if recipe.method == "ail" and recipe.importance != "paper":
        return 0, recipe.steps
    return recipe.segment_start(segment), recipe.segment_end(segment)
