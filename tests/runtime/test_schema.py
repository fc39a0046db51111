"""The checker of reports, against an independent one and beyond it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import fastjsonschema
import pytest

from ailsr.runtime import documents, schema
from ailsr.runtime.bench.report_document import check_document

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "runtime" / "report.schema.json").read_text())
REPORT = json.loads((ROOT / "tests" / "parity" / "report.json").read_text())
VALUES = [None, True, 0, -1, 1.5, 3, "x", "float32", [], [1], [0, 1], {}, {"a": 1}]


def keywords(node: object) -> set[str]:
    """The keywords of a schema and of those in it."""
    if not isinstance(node, dict):
        return set().union(*map(keywords, node)) if isinstance(node, list) else set()
    found = set(node)
    for name, inner in node.items():
        named = name in ("properties", "definitions")
        found |= set().union(*map(keywords, inner.values())) if named else keywords(inner)
    return found


def places(node: object, path: tuple = ()) -> list[tuple]:
    """Where a document can be changed."""
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    return [
        place
        for key, item in inner
        for place in (
            (*path, key),
            *(places(item, (*path, key)) if isinstance(item, dict | list) else ()),
        )
    ]


def test_every_keyword_of_the_schema_is_checked():
    silent = {"$schema", "title", "description", "definitions"}
    assert keywords(SCHEMA) <= schema.KEYWORDS | silent


def test_a_report_is_refused_wherever_another_checker_refuses_it():
    check_document(REPORT)
    oracle = fastjsonschema.compile(SCHEMA)
    oracle(REPORT)
    refused = 0
    for place in places(REPORT):
        for value in [*VALUES, "gone"]:
            changed = copy.deepcopy(REPORT)
            holder = changed
            for key in place[:-1]:
                holder = holder[key]
            if value == "gone":
                del holder[place[-1]]
            else:
                holder[place[-1]] = value
            try:
                oracle(changed)
                expected = True
            except fastjsonschema.JsonSchemaException:
                expected = False
            try:
                check_document(changed)
                found = True
            except ValueError as error:
                found = False
                assert "\n" not in str(error) and len(str(error)) < 300
            assert found == expected, (place, value)
            refused += not found
    assert refused > 400


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("host", "cpu"), "x" * 5000),
        (("files", 1, "size_bytes"), 10**200),
        (("files", 1, "load_ms"), 1e300),
        (("host", "x" * 5000), 1),
        (("later",), "x" * 5000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_a_schema_leaves_open_is_bounded(place, value):
    changed = copy.deepcopy(REPORT)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with pytest.raises(ValueError) as caught:
        check_document(changed)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", "1e999", "[" * 100_000, "9" * 5000, '"\\ud800"', "", "{", "[1]]"],
    ids=lambda text: text[:12],
)
def test_json_that_others_do_not_read_is_refused(text):
    with pytest.raises(ValueError) as caught:
        documents.parse(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_read_in_each_encoding_that_editors_write(encoding):
    assert documents.parse('{"ä": "😀"}'.encode(encoding)) == {"ä": "😀"}


def test_what_is_written_is_strict():
    infinite = {"a": [float("inf"), float("nan"), 1.5], "b": "\x1bä"}
    text = documents.dump(infinite)
    assert text == '{"a": [null, null, 1.5], "b": "\\u001b\\u00e4"}'
