"""Intel's AMX tiles, which no phone has, switched off for a process and those that it starts."""

from __future__ import annotations

import ctypes
import errno
import struct

from ailsr.runtime.cpu import read_text

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ARCH_PRCTL, REQUEST_TILES = 158, 0x1023  # ARCH_REQ_XCOMP_PERM
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
REFUSE, ALLOW = 0x50000 | errno.EPERM, 0x7FFF0000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def is_here() -> bool:
    """Linux offers this machine's tiles."""
    return "amx_tile" in (read_text("/proc/cpuinfo") or "")


def switch_off() -> None:
    """Let Linux refuse the tiles to this process, for good, so that kernels are chosen without.

    A process asks for them by arch_prctl(2); a seccomp filter answers that one call with EPERM.
    Does nothing where there are none. Raises OSError where filters are not allowed.
    """
    if not is_here():
        return
    instructions = (
        (LOAD, 0, 0, 0),  # the number of the call
        (JUMP_IF_EQUAL, 0, 3, ARCH_PRCTL),
        (LOAD, 0, 0, 16),  # its first argument
        (JUMP_IF_EQUAL, 0, 1, REQUEST_TILES),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in instructions))
    program = _Program(len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    calls = (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    )
    for call in calls:
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl: no filter of calls can be set here")
