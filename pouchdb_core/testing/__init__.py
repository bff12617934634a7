"""For authors of adapters and plug-ins: fixtures and the conformance suite, which need pytest, and ``couch_server``."""

from __future__ import annotations

from importlib.util import find_spec

# ``couch_server`` works without pytest. The suite's asserts are rewritten before they are imported, so that a failure
# shows the values.
if find_spec("pytest") is not None:
    import pytest

    pytest.register_assert_rewrite("pouchdb_core.testing.conformance")
