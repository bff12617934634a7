"""For authors of adapters and plug-ins: the conformance suite and fixtures. Needs pytest; nothing else here does."""

from __future__ import annotations

import pytest

# Before they are imported, so that a failure shows the values.
pytest.register_assert_rewrite("pouchdb_core.testing.conformance")
