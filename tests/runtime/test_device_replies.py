"""Replies of a hostile device: one line each, within bounds of time and memory.

In place of ``ssh`` stands a program that speaks the agent's protocol and replies what a test says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ailsr.runtime import documents
from ailsr.runtime.bench.harness import Plan
from ailsr.runtime.devices import remote_agent, ssh_connection, ssh_device
from ailsr.runtime.devices.ssh_device import SshDevice
from ailsr.runtime.errors import DeviceError
from ailsr.runtime.memory import resident_bytes
from ailsr.runtime.progress import silent

REPORT = (Path(__file__).parents[1] / "parity" / "report.json").read_text()
GREETING = {"agent": 1, "python": "3.11.2+", "missing": [], "stored": []}
SSH = """#!{python}
import json, re, sys, time
replies = json.loads(open({replies!r}).read())
source, out = sys.stdin.buffer, sys.stdout.buffer
def say(text):
    if text == "SILENCE":
        out.flush()
        time.sleep(60)
    elif text == "ENDLESS":
        while True:
            out.write(b"x" * 65536)
    elif text == "ENDLESS WORDS":
        for _ in range(1000):
            sys.stderr.write("x" * 65536)
    else:
        out.write(text.encode("utf-8", "surrogateescape") + b"\\n")
        out.flush()
source.read(int(re.search(r"read\\((\\d+)\\)", sys.argv[-1])[1]))
for text in replies["greeting"]:
    say(text)
while True:
    line = source.readline()
    if not line:
        break
    if not line.strip():
        continue
    message = json.loads(line)
    if "store" in message:
        source.read(message["bytes"])
        say(replies.get("stored", json.dumps({{"stored": message["store"]}})))
    else:
        for text in replies["run"]:
            say(text.replace("MODEL", message["run"]["files"][0]))
        break
"""


@pytest.fixture
def measure(tmp_path, monkeypatch, write_network):
    """What a device that replies so is found to have measured."""

    def run(run=(), greeting=None, **others):
        greeting = greeting or [json.dumps(GREETING)]
        replies = tmp_path / "replies.json"
        replies.write_text(json.dumps({"greeting": greeting, "run": run, **others}))
        ssh = tmp_path / "ssh"
        ssh.write_text(SSH.format(python=sys.executable, replies=str(replies)))
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        model = write_network("onnx float32 float32", (12, 14))
        model = model.rename(model.with_name("back\\1slash.onnx"))
        plan = Plan([str(model)], threads=1, runs=2, seconds=0.1, protocol="Y-shave-s", images=None)
        return SshDevice("ssh://device").measure(plan, silent)

    return run


def changed(*path_and_value: object) -> str:
    """The report with one value changed, as the device sends it."""
    *path, value = path_and_value
    report = json.loads(REPORT)
    holder = report
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return json.dumps({"report": report})


def test_a_right_reply_is_read(measure):
    found = measure(['{"what": "load", "done": 0.5, "of": 1}', changed("device", "x")])
    assert [file.file for file in found.files] == ["a", "b"]


def test_a_backslash_in_a_local_path_is_no_trouble(measure):
    report = json.loads(REPORT)
    report["files"] = [{"file": "/there/MODEL", "error": "/there/MODEL: it is damaged"}]
    found = measure([json.dumps({"report": report})])
    assert found.files[0].file.endswith("back\\1slash.onnx")
    assert found.files[0].error == f"{found.files[0].file}: it is damaged"


GREETINGS = [
    {**GREETING, "python": 3},
    {**GREETING, "python": "three"},
    {**GREETING, "python": "2.7"},
    {**GREETING, "missing": [3]},
    {**GREETING, "missing": None},
    {**GREETING, "stored": {"a": 1}},
    {"agent": 1},
    {"agent": "1", "python": "3.11", "missing": [], "stored": []},
    {"error": 7},
    {"error": None},
    {"error": "x" * 100_000},
    {"error": "full", "errno": "28"},
]
RUNS = [
    "",
    "{",
    "[]",
    "3",
    "null",
    "NaN",
    "[" * 100_000,
    "\udcff\udcfe",
    '{"report": 3}',
    '{"report": null}',
    '{"report": {}}',
    '{"report": {"schema": "ailsr-bench", "schema_version": 1}}',
    '{"what": 3, "done": 1, "of": 1}',
    '{"what": "load"}',
    '{"what": "load", "done": "half", "of": 1}',
    '{"what": "load", "done": 1e999, "of": 1}',
    '{"what": "load", "done": -5, "of": 1}',
    '{"what": "' + "x" * 10_000 + '", "done": 1, "of": 1}',
    '{"error": ["x"]}',
    '{"error": "\\u001b[31m\\nfake"}',
    '{"stored": "x"}',
    changed("files", [3]),
    changed("files", {}),
    changed("files", 1, "file", None),
    changed("files", 1, "input_size", [1]),
    changed("files", 1, "ratio", {"to": 3}),
    changed("files", 1, "whole_path", "p50_ms", 10**400),
    changed("files", 0, "error", 5),
    changed("host", []),
    changed("host", "cores", 0),
    changed("settings", None),
    changed("settings", "threads", "all"),
    changed("date", "yesterday"),
    changed("date", "2026-99-99T99:99:99Z"),
    changed("schema_version", 2),
    changed("baselines", [{"name": "bicubic", "scale": 2, "quality": None}]),
]


def check_line(error: DeviceError) -> None:
    assert "device" in str(error)
    assert "\n" not in str(error) and len(str(error)) < 900


@pytest.mark.parametrize("greeting", GREETINGS, ids=lambda value: str(value)[:40])
def test_a_malformed_greeting_is_one_line(measure, greeting):
    with pytest.raises(DeviceError) as caught:
        measure([changed("device", "x")], ["Welcome!", json.dumps(greeting)])
    check_line(caught.value)


@pytest.mark.parametrize("reply", RUNS, ids=lambda value: value[:40] or "nothing")
def test_a_malformed_reply_is_one_line(measure, reply):
    with pytest.raises(DeviceError) as caught:
        measure([reply])
    check_line(caught.value)


def test_a_malformed_answer_to_a_file_is_one_line(measure):
    with pytest.raises(DeviceError) as caught:
        measure([changed("device", "x")], stored='{"kept": true}')
    check_line(caught.value)


def test_an_endless_line_is_cut(measure, monkeypatch):
    monkeypatch.setattr(ssh_connection, "LONGEST_LINE", 1 << 22)
    before = resident_bytes()
    with pytest.raises(DeviceError, match="a line of more than 4194304 bytes"):
        measure(["ENDLESS"])
    assert resident_bytes() - before < 100 << 20


def test_endless_words_of_ssh_are_not_kept(measure):
    before = resident_bytes()
    with pytest.raises(DeviceError, match=r"broke \(x{50}"):
        measure(["ENDLESS WORDS"])
    assert resident_bytes() - before < 50 << 20


@pytest.mark.parametrize("when", ["greeting", "stored", "run"])
def test_silence_has_an_end_and_is_given_as_the_reason(measure, monkeypatch, when):
    for name in ("GREETING_SECONDS", "REPLY_SECONDS"):
        monkeypatch.setattr(remote_agent, name, 1.5)
    monkeypatch.setattr(ssh_device, "patience", lambda plan: 1.5)
    silent = {"greeting": ["SILENCE"]} if when == "greeting" else {}
    silent |= {"stored": "SILENCE"} if when == "stored" else {"run": ["SILENCE"]}
    with pytest.raises(DeviceError, match=r"nothing came from it for 1\.5 s"):
        measure(**silent)


def test_a_reply_is_read_as_strictly_as_any_json():
    assert documents.parse(REPORT)["schema"] == "ailsr-bench"
