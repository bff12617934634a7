"""``python -m pouchdb COMMAND`` and the console script ``pouchdb``."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command line; exits with its status. Says what to install where the extra is missing."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        print(
            f"pouchdb: the command needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed.\nInstall the extra: pip install 'pouchdb[cli]'",
            file=sys.stderr,
        )
        sys.exit(1)
    from pouchdb.cli.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
