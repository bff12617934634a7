"""Daemon threads at a program's end: Python stops them wherever they are, and databases are closed just before.

So a daemon that is in the middle of a call gets DatabaseClosed. It may catch that; if it does not, this is no error of
the program that anybody could mend, and nothing is printed, as for all other daemons that are stopped.
"""

from __future__ import annotations

import atexit
import functools
import threading

from pouchdb_core.errors import DatabaseClosed

__all__ = ["end_silently"]


@functools.cache
def end_silently() -> None:
    """Arrange that; called after a finalizer was made, as what is registered last is called first at the end."""
    atexit.register(_leave_out)


def _leave_out() -> None:
    report = threading.excepthook

    def excepthook(args: threading.ExceptHookArgs, /) -> None:
        is_daemon = args.thread is None or args.thread.daemon
        if not (is_daemon and issubclass(args.exc_type, DatabaseClosed)):
            report(args)

    threading.excepthook = excepthook
