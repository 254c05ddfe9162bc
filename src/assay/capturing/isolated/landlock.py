"""Limits that the kernel keeps (Linux's Landlock): also where C code opens files or connects, which Python never sees.

They hold for the calling thread and all that it starts, and cannot be taken off. Older kernels and other systems have
none: there ``Guard`` alone stands.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38  # prctl
_EXECUTE, _WRITE_FILE, _REFER, _TRUNCATE = 1 << 0, 1 << 1, 1 << 13, 1 << 14
_CHANGES = sum(1 << bit for bit in range(4, 13))  # removes and makes files, folders, links, devices
_BIND_AND_CONNECT = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def restrict(folders: Sequence[Path]) -> bool:
    """No writing but below these folders and to ``/dev/null``, no TCP, no other programs; whether the kernel keeps it.

    Args:
        folders: That are there; others are left out.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return False
    writing = _WRITE_FILE | _CHANGES | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    has_network = version >= 4
    rules = _Ruleset(_EXECUTE | writing, _BIND_AND_CONNECT if has_network else 0)
    size = ctypes.c_size_t(ctypes.sizeof(rules) if has_network else ctypes.sizeof(ctypes.c_uint64))
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return False
    try:
        allowed = [(folder, writing) for folder in folders if folder.is_dir()]
        for path, access in [*allowed, (Path(os.devnull), writing & (_WRITE_FILE | _TRUNCATE))]:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = _Beneath(access, opened)
                if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0):
                    return False
            finally:
                os.close(opened)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            return False
        return int(libc.syscall(_RESTRICT, ruleset, 0)) == 0
    finally:
        os.close(ruleset)
