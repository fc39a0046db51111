"""The way from bytes to a card: what is accepted, and what is one error."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from ailsr.runtime import card as card_module
from ailsr.runtime.card import Card
from ailsr.runtime.errors import ModelError

CARD = Card("sesr_m5", 2, "y", "int8", "uint8", (360, 640), 9)
CASES = json.loads((Path(__file__).parents[1] / "parity" / "cards.json").read_text())


def text_of(parts: list) -> str:
    """The card of a case: texts, some of them repeated."""
    return "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_a_card_is_accepted_or_refused_in_one_line(case):
    """The app answers alike: tests/android_demo/test_core.py."""
    try:
        card = Card.from_json(text_of(case["card"]))
    except ModelError as error:
        assert case["is"] is False
        assert "card" in str(error) and "\n" not in str(error) and len(str(error)) < 300
    else:
        sizes = ", ".join(f"{width}x{height}" for height, width in card.sizes)
        assert case["is"] == f"{card.scale} {card.radius} [{sizes}]"
        assert {type(n) for n in (card.scale, card.radius, *card.input_size)} == {int}
        assert Card.from_json(card.to_json()) == card


def test_every_field_has_a_rule_in_its_order():
    names = [f.name for f in fields(Card)]
    assert list(card_module._FIELDS) == names
    assert names[: card_module.REQUIRED] == list(Card.__match_args__[:7])


def test_an_infinite_psnr_is_null_in_strict_json():
    card = replace(CARD, psnr={"Set5": math.inf})
    assert '"psnr":{"Set5":null}' in card.to_json()
    assert Card.from_json(card.to_json()) == card


def test_bytes_that_are_no_text_are_an_error():
    with pytest.raises(ModelError, match="byte 1 is no UTF-8"):
        Card.of_file(b"{\xff}", sealed=True)


def test_a_byte_order_mark_is_no_part_of_a_card():
    assert Card.of_file(CARD.to_json().encode("utf-16"), sealed=True) == CARD
    assert Card.of_file(CARD.to_json().encode("utf-8-sig"), sealed=True) == CARD
