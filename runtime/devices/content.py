"""Files to be sent to a device, named by their content, so that each goes there once."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ailsr.runtime.files import sha256


@dataclass(frozen=True)
class Content:
    """A file, or a folder packed into one."""

    name: str
    """SHA-256 of what is sent, and the ending by which engines know the file."""
    title: str
    """Its own name, for people."""
    source: Path | bytes
    unpack: bool = False
    """It is a zip archive of a folder: unpack it there."""

    @classmethod
    def of(cls, path: Path) -> Content:
        """The file, or the folder such as ``.mlpackage``, at ``path``."""
        if path.is_dir():
            inside = {str(f.relative_to(path)): f for f in path.rglob("*") if f.is_file()}
            return cls.packed(inside, path.name)
        return cls(sha256(path) + path.suffix.lower(), path.name, path)

    @classmethod
    def packed(cls, files: Mapping[str, Path], title: str) -> Content:
        """A folder that holds ``files`` by these relative paths; equal files, equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for inside, path in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(inside), path.read_bytes(), zipfile.ZIP_DEFLATED)
        data = buffer.getvalue()
        return cls(hashlib.sha256(data).hexdigest() + Path(title).suffix, title, data, unpack=True)

    @property
    def size_bytes(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def open(self) -> IO[bytes]:
        """The bytes that are sent, as a file to read."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")
