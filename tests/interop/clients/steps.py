"""What the programs share: every call is a step, whose answer is checked and printed."""

import json
import sys

URL, NAME = sys.argv[1], "clients"
USER, PASSWORD = "ada", "secret"
STEPS = []


def step(what, found, wanted=True):
    """Note a call; end with an error when its answer is another."""
    STEPS.append(what)
    if found != wanted:
        sys.exit(f"{what}: {found!r} instead of {wanted!r}")
    return found


def fails(what, error, call):
    """Note a call that is to raise an error."""
    STEPS.append(what)
    try:
        call()
    except error:
        return
    sys.exit(f"{what}: nothing was raised")


def done():
    print(json.dumps(STEPS))
