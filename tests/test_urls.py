"""Names that are URLs in any case of letters, and names that look like mistyped ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pouchdb
from pouchdb_core.errors import BadRequest
from pouchdb_core.urls import is_http, mistyped_url, scheme_of, shown_url

MEANT = {
    "http:/host/notes": "http://host/notes",
    "HTTP:/host": "http://host",
    "https:host/notes": "https://host/notes",
    "http:\\\\host\\notes": "http://host\\notes",
    "http:": "http://",
    "http:/eve:secret@host/notes": "http://host/notes",
    "http:eve:sec@ret@host": "http://host",
    "postgresql:/eve:a/secret@host/notes": "postgresql://host/notes",
    " postgresql://eve:secret@host/notes": "postgresql://host/notes",
    "\nHTTP://host/notes": "http://host/notes",
    "htp:/host": "htp://host",
    "sqlite:notes.db": "sqlite://notes.db",
    "sqlite:/notes.db": "sqlite://notes.db",
    "SQLite:notes.db": "sqlite://notes.db",
    "postgresql:notes": "postgresql://notes",
    "postgres:/host/notes": "postgres://host/notes",
    "file:notes": "file://notes",
    "localhost:5984/notes": "http://localhost:5984/notes",
    "127.0.0.1:5984/notes": "http://127.0.0.1:5984/notes",
    "couch.example.org:6984/a/b": "http://couch.example.org:6984/a/b",
}
NAMES = [
    "notes", "a/b", "http", "http//host", "//host/notes", "c:/notes", "C:\\notes", "c:notes", "a:b", "user:eve",
    "2026:11", "notes:5984/x", "example.org:8080", "mailto:eve", "memory:x", ":memory:", ":/x",
    "", "a b:/x", "é:/x", "sqlitex:y",
]  # fmt: skip


@pytest.mark.parametrize(("name", "meant"), MEANT.items(), ids=repr)
def test_what_looks_like_a_mistyped_url(name: str, meant: str) -> None:
    assert mistyped_url(name) == meant
    with pouchdb.setup(":memory:", plugins=[]) as env:
        for call in (env.__getitem__, env.PouchDB, lambda name: env.replicate(name, "target")):
            with pytest.raises(BadRequest, match="looks like a mistyped URL: was ") as caught:
                call(name)
            assert "secret" not in caught.value.message
        assert list(env) == []
        # It can be asked for, is there from then on, and goes as any other.
        env.PouchDB(name, adapter="memory").put({"_id": "a"})
        assert env[name].info().doc_count == 1
        env.destroy(name)
        env.destroy(name)
        assert list(env) == []


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_what_does_not(name: str) -> None:
    assert mistyped_url(name) is None


@given(st.from_regex(r"[a-z][a-z0-9_$()+/-]*", fullmatch=True))
def test_no_name_that_couchdb_allows_looks_like_one(name: str) -> None:
    assert mistyped_url(name) is None
    assert scheme_of(name) is None


@given(st.sampled_from(["http", "https"]), st.lists(st.booleans(), min_size=5, max_size=5), st.text(max_size=9))
def test_schemes_have_no_case(scheme: str, upper: list[bool], rest: str) -> None:
    written = "".join(letter.upper() if up else letter for letter, up in zip(scheme, upper, strict=False))
    assert scheme_of(f"{written}://{rest}") == scheme
    assert is_http(f"{written}://{rest}")
    assert mistyped_url(f"{written}://{rest}") is None
    assert mistyped_url(f"{written}:/" + rest.lstrip("/")) is not None


@pytest.mark.parametrize("value", [None, 5, b"http://host", "ftp://host", "http:/host"])
def test_what_is_no_http_url(value: object) -> None:
    assert not is_http(value)


@pytest.mark.parametrize("name", ["http:/host", "sqlite:notes.db", "postgresql:notes", "localhost:5984/notes"])
def test_a_directory_of_such_a_name_is_refused_unless_it_is_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRequest, match="looks like a mistyped URL: was ") as caught:
        pouchdb.setup(name, plugins=[])
    assert caught.value.status == 400
    assert list(tmp_path.iterdir()) == []
    with pouchdb.setup(Path(name), plugins=[]) as env:
        env["notes"].info()
    with pouchdb.setup(name, plugins=[]) as env:
        assert list(env) == ["notes"]


@pytest.mark.parametrize("url", ["HTTP://host", "Https://host/"])
def test_the_url_of_a_server_is_no_place_to_keep_databases(url: str) -> None:
    with pytest.raises(BadRequest, match=r"no plug-in keeps databases at https?:// URLs; .* opened by its URL"):
        pouchdb.setup(url, plugins=[])


@pytest.mark.parametrize("plugins", [5, True, object()])
def test_plugins_that_are_no_list(plugins: object) -> None:
    with pytest.raises(BadRequest, match="plugins must be a list of names, modules or objects, not "):
        pouchdb.setup(":memory:", plugins=plugins)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://eve:secret@host:5432,other/db?schema=a", "postgresql://host:5432,other/db"),
        ("postgresql://host/db?user=eve&password=secret", "postgresql://host/db"),
        ("postgresql://host/db?user=eve@host&password=secret", "postgresql://..."),
        ("postgresql://eve:a/secret@host/db", "postgresql://host/db"),
        ("postgresql://eve:a?secret@host/db", "postgresql://host/db"),
        ("postgresql://eve:a#secret@host/db", "postgresql://host/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db"),
        ("http://eve:secret@host/", "http://host/"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert shown_url(url) == shown
