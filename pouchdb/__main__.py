"""``python -m pouchdb COMMAND``: commands come with plug-ins, by the entry points ``pouchdb.commands``."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run the command that is named first; returns the exit status."""
    commands = {point.name: point for point in entry_points(group="pouchdb.commands")}
    if not arguments or arguments[0] not in commands:
        known = ", ".join(sorted(commands)) or "none: install pouchdb[server]"
        print(f"usage: python -m pouchdb COMMAND ...\ncommands: {known}", file=sys.stderr)
        return 2
    status: int = commands[arguments[0]].load()(arguments[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
