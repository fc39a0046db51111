"""A seal: the SHA-256 of an exported file, inside it.

Engines trust what a file says of its shapes and offsets, and a byte that was damaged on the way may
end the process or, worse, change the image a little. So an exported file carries the digest of
all its bytes, taken with zeros in place of the digest itself, and the runtime compares it before an
engine sees the file. It finds damage, not intent: whoever changes a file can seal it again.

The seal is text in the file's metadata and is found by its prefix, so that it works alike in every
format.
"""

from __future__ import annotations

import hashlib

from ailsr.runtime.card import METADATA_KEY
from ailsr.runtime.errors import ModelError

SEAL_KEY = "ailsr_seal"
"""Metadata key of the seal, beside that of the card."""
_PREFIX = b"ailsr-sha256:"
_LENGTH = 64
UNSEALED = _PREFIX.decode() + "0" * _LENGTH
"""The text that a writer puts under SEAL_KEY before ``sealed``."""


def sealed(content: bytes, *others: bytes) -> bytes:
    """``content``, which holds UNSEALED, with the digest of itself and ``others`` in its place."""
    at = content.index(UNSEALED.encode()) + len(_PREFIX)
    return content[:at] + _digest(content, others) + content[at + _LENGTH :]


def check_seal(content: bytes, *others: bytes) -> bool:
    """True when ``content`` is sealed. Raises ModelError when the seal is not that of its bytes."""
    at = content.find(_PREFIX) + len(_PREFIX)
    if at < len(_PREFIX):
        return False
    end = at + _LENGTH
    if content[at:end] != _digest(content[:at] + b"0" * _LENGTH + content[end:], others):
        raise ModelError(
            "it is damaged (its bytes are not those that were exported, their SHA-256 differs): "
            "copy or export it again; if a tool changed it on purpose, let it remove the metadata "
            f"'{METADATA_KEY}' and '{SEAL_KEY}', too"
        )
    return True


def _digest(content: bytes, others: tuple[bytes, ...]) -> bytes:
    digest = hashlib.sha256(content)
    for other in others:
        digest.update(other)
    return digest.hexdigest().encode()
