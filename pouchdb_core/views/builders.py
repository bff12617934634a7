"""Names of processes that build indexes, and whether such a process still runs."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["is_alive", "process_name"]


def process_name() -> str:
    """Return the name of this process, the beginning of the names of its builders."""
    return f"{platform.node()}:{os.getpid()}"


def is_alive(builder: str) -> bool:
    """Return whether a builder's process may still run; only a process of this machine is known to be gone."""
    host, pid, _ = builder.rsplit(":", 2)
    if host != platform.node() or os.name == "nt":
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _zombie(pid)


def _zombie(pid: str) -> bool:
    """Return whether a process is a zombie (it has ended and waits for its parent), as far as the platform says so."""
    try:
        # Linux: "pid (name) state ...", and a name may have parentheses.
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return state[:1] in ([b"Z"], [b"X"])
