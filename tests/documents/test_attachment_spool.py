"""A stream waits in a temporary file: what happens when there is no room for it."""

from __future__ import annotations

import errno
import io
import tempfile
from typing import Any

import pytest

from pouchdb_core.errors import DiskFull, NotFound, StorageError


class Full(io.BytesIO):
    def __init__(self, code: int) -> None:
        super().__init__()
        self._code = code

    def write(self, data: Any) -> int:
        raise OSError(self._code, "no room")


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        pytest.param(errno.ENOSPC, DiskFull, 507, id="full disk"),
        pytest.param(errno.EIO, StorageError, 500, id="another failure"),
    ],
)
def test_a_temporary_directory_that_fails(
    database: Any, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[StorageError], status: int
) -> None:
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **options: Full(code))
    with pytest.raises(kind) as raised:
        database.put_attachment("a", "f", io.BytesIO(b"content"), "text/plain")
    assert raised.value.status == status
    with pytest.raises(NotFound):
        database.get("a")
