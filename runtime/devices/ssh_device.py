"""A device that is reached by the user's own OpenSSH client, with numpy, Pillow and an engine.

One connection serves a run. ``on_device/agent.py`` goes over it as text and is run by the device's
Python; then this package, the files and the images, as far as the device lacks them, by SHA-256.
There the harness measures as it does here and sends its report, which is checked by its schema.
When the connection ends, so does all that ran there.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from ailsr.runtime.bench.harness import Plan
from ailsr.runtime.bench.report_document import check_document, read_results
from ailsr.runtime.bench.results import Results
from ailsr.runtime.devices.content import Content
from ailsr.runtime.devices.device import patience, scales
from ailsr.runtime.devices.remote_agent import RemoteAgent
from ailsr.runtime.errors import DeviceError, UsageError
from ailsr.runtime.imaging import image, no_reference, protocol
from ailsr.runtime.progress import Progress

PACKAGE = Path(__file__).parents[1]  # ailsr.runtime


class SshDevice:
    """``ssh://user@host[:port][/path/to/python]``; ``/~/`` stands for the home folder there."""

    def __init__(self, name: str) -> None:
        """Raises UsageError for an address that is none; nothing is connected yet."""
        try:
            address = urlsplit(name)
            valid = address.hostname and address.port != 0
        except ValueError:
            valid = False
        if not valid or address.password or address.query or address.fragment:
            raise UsageError(
                f"{name} is no address: give ssh://user@host[:port][/path/to/python]; instead of a "
                f"password a key is used, from ssh-agent or ~/.ssh"
            )
        self.name = name
        self._host = f"ssh://{address.netloc}"
        self._python = address.path if address.path.strip("/") else "python3"
        self._agent: RemoteAgent | None = None

    def measure(self, plan: Plan, progress: Progress) -> Results:
        """As ``Device.measure``."""
        progress("connecting", 0, len(plan.files))
        with tempfile.TemporaryDirectory(prefix="ailsr-") as folder:
            modules = {
                f"ailsr/runtime/{file.relative_to(PACKAGE)}": file for file in PACKAGE.rglob("*.py")
            }
            code = Content.packed(modules, "the harness")
            files = [Content.of(Path(file)) for file in plan.files]
            pictures = _pictures(plan, Path(folder))
            with RemoteAgent(self._host, self._python) as self._agent:
                stored = self._agent.greet()
                for content in {c.name: c for c in (code, *files, *pictures.values())}.values():
                    if content.name not in stored:
                        progress(f"sending {content.title}", 0, len(plan.files))
                        self._agent.store(content)
                document = self._agent.run(
                    {
                        "run": {**asdict(plan), "files": [file.name for file in files]},
                        "code": code.name,
                        "pictures": {path: content.name for path, content in pictures.items()},
                    },
                    progress,
                    patience(plan),
                )
        try:
            check_document(document)
        except ValueError as error:
            raise DeviceError(f"the report from {self.name} cannot be read ({error})") from None
        names = {there.name: here for here, there in zip(plan.files, files, strict=True)}

        def here(name: str) -> str:
            return names.get(Path(name).name, name)

        for entry in document["files"]:  # those of ``plan``, then baselines
            if entry["error"]:
                pattern = rf"\S*{re.escape(Path(entry['file']).name)}"
                entry["error"] = here(entry["file"]).join(re.split(pattern, entry["error"]))
            elif entry.get("ratio"):
                entry["ratio"]["to"] = here(entry["ratio"]["to"])
            entry["file"] = here(entry["file"])
        document["settings"]["images"] = plan.images
        return read_results(document, self.name)

    def close(self) -> None:
        """As ``Device.close``."""
        if self._agent is not None:
            self._agent.kill()


def _pictures(plan: Plan, folder: Path) -> dict[str, Content]:
    """The files that the protocol reads there, by path: the images, and the low-resolution ones.

    Those that the protocol makes are made here, in ``folder``, so that all devices upscale the
    same pixels. (The device makes its own for names that differ in their ending only, and by a
    degradation.)
    """
    if plan.images is None:
        return {}
    if plan.no_reference:
        sources = no_reference.sources(Path(plan.images)).values()
        return {path.name: Content.of(path) for path in sources}
    found: dict[str, Content] = {}
    for scale in scales(plan) or [1]:
        pairs = protocol.pairs(Path(plan.images), scale)
        unique = len({hr.stem for _, hr, _ in pairs.sources}) == len(pairs)
        for n, (_, hr, lr) in enumerate(pairs.sources):
            found[f"HR/{hr.name}"] = Content.of(hr)
            if lr is None and unique and scale > 1 and plan.degradation == "bicubic":
                lr = folder / f"{n}x{scale}.png"
                image.write(pairs[n].lr, lr)
            if lr is not None:
                found[f"LR_bicubic/X{scale}/{hr.stem}{lr.suffix}"] = Content.of(lr)
    return found
