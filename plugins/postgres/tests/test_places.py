"""Which databases there are, what belongs to others, versions, and what a URL may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import BadRequest, NewerSchema, NotADatabase, NotFound, NotSupported, StorageError

SHORT = ["a", "A", "a/b", "ä", "\0", "\1", "\0\1", "\1\0", "a\0b", "'\"\\%s?", "\U0010ffff", "-- ;"]
STRANGE = [*SHORT, "x" * 5000, "x" * 5000 + "y"]


def schemas(postgres: Any, url: str) -> list[str]:
    name = url.partition("schema=")[2]
    found = postgres.run(f"SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '{name}_') ORDER BY 1")
    return [each for (each,) in found]


def test_databases_are_listed_destroyed_and_made_again(postgres: Any, url: str, place: Any) -> None:
    assert list(place) == []
    for name in STRANGE:
        assert place[name].put({"_id": name}).ok
    assert list(place) == sorted(STRANGE)
    assert len(schemas(postgres, url)) == len(STRANGE)
    for name in STRANGE:
        assert place[name].get(name)["_id"] == name
        place.destroy(name)
    assert list(place) == []
    assert schemas(postgres, url) == []
    assert place["a"].info().doc_count == 0


def test_texts_come_back_as_they_were_and_in_order(database: Any) -> None:
    ids = [each for each in STRANGE if each]
    database.bulk_docs([{"_id": id, id: id} for id in ids])
    listed = database.all_docs(include_docs=True).rows
    assert [row.id for row in listed] == sorted(ids)
    assert all(row.doc[row.id] == row.id for row in listed)
    assert [row.id for row in database.all_docs(descending=True).rows] == sorted(ids, reverse=True)
    assert [row.id for row in database.all_docs(startkey="\1", endkey="a\0b").rows] == [
        id for id in sorted(ids) if "\1" <= id <= "a\0b"
    ]
    assert [row.id for row in database.all_docs(keys=ids).rows] == ids
    for id in ids:
        database.put({"_id": f"_local/{id}", "v": id})
        assert database.get(f"_local/{id}")["v"] == id
        database.put_attachment(id, id, b"\0\1", "text/plain", rev=database.get(id)["_rev"])
        assert database.get_attachment(id, id).data == b"\0\1"


def test_what_others_have_stays(postgres: Any, url: str, place: Any) -> None:
    postgres.run("CREATE TABLE IF NOT EXISTS public.documents (theirs TEXT)")
    postgres.run("INSERT INTO public.documents VALUES ('kept')")
    place["mine"].put({"_id": "a"})
    place.destroy("mine")
    assert ("kept",) in postgres.run("SELECT theirs FROM public.documents")


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param("CREATE TABLE {0}.theirs (a TEXT)", id="other tables"),
        pytest.param("CREATE TABLE {0}.about (a TEXT)", id="a table of the same name"),
        pytest.param("CREATE TABLE {0}.about (mark TEXT, version TEXT)", id="the same columns"),
    ],
)
def test_a_schema_of_another_program_is_refused(postgres: Any, url: str, place: Any, tables: str) -> None:
    schema = url.partition("schema=")[2]
    postgres.run(f"CREATE SCHEMA {schema}")
    postgres.run(tables.format(schema))
    for use in (lambda: list(place), lambda: place["a"], lambda: place.destroy("a")):
        with pytest.raises(NotADatabase, match=r"belongs to another program; name another one by \?schema="):
            use()


def test_an_empty_schema_that_is_there_is_taken(postgres: Any, url: str, place: Any) -> None:
    postgres.run(f"CREATE SCHEMA {url.partition('schema=')[2]}")
    assert place["a"].put({"_id": "a"}).ok


def test_newer_versions_are_refused(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    schema = url.partition("schema=")[2]
    open_place(url)["a"].put({"_id": "kept"})
    postgres.run(f"UPDATE {schema}.databases SET version = 99")
    with pytest.raises(NewerSchema, match=r"schema version 99, this program knows \d+; open it with a newer pouchdb"):
        open_place(url)["a"]
    postgres.run(f"UPDATE {schema}.about SET version = 99")
    with pytest.raises(NewerSchema, match="the list of databases has version 99"):
        list(open_place(url))


def test_older_versions_are_carried_forward(url: str, open_place: Callable[..., Any]) -> None:
    from pouchdb_postgres.adapter import server_of
    from pouchdb_postgres.places import open_database
    from pouchdb_postgres.schema import MIGRATIONS

    place = open_place(url)
    place["a"].put({"_id": "kept"})
    server = server_of(place.engine.place)
    steps = (*MIGRATIONS, lambda connections: connections.run("CREATE TABLE extras (id TEXT)"))
    for _ in range(2):
        store, created = open_database(server, "a", "database 'a'", steps)
        assert not created
        assert store.connections.all("SELECT id FROM extras") == []
    assert store.row("kept") is not None
    failing = (*steps, lambda connections: connections.script(["CREATE TABLE half (id TEXT)", "SELECT nonsense"]))
    with pytest.raises(StorageError, match="nonsense"):
        open_database(server, "a", "database 'a'", failing)
    assert open_database(server, "a", "database 'a'", steps)[0].row("kept") is not None


def test_version_2_has_the_indexes_of_new_databases(url: str, open_place: Callable[..., Any]) -> None:
    from pouchdb_postgres.adapter import server_of
    from pouchdb_postgres.places import open_database
    from pouchdb_postgres.schema import MIGRATIONS

    def long_indexes(db: Any) -> list[str]:
        sql = "SELECT indexdef FROM pg_indexes WHERE schemaname = ? AND tablename LIKE '%_long' ORDER BY 1"
        connections = db.adapter.store.connections
        rows = connections.all(sql, (connections.schema,))
        return [text.replace(f"{connections.schema}.", "") for (text,) in rows]

    view = {"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc.n); }"}}}
    place = open_place(url)
    open_database(server_of(place.engine.place), "old", "database 'old'", MIGRATIONS[:1])
    store = open_database(server_of(place.engine.place), "old", "database 'old'", MIGRATIONS[:1])[0]
    # As version 1 made the rows of a view.
    with store.write():
        store.connections.script(
            [
                "CREATE TABLE index_1_rows (view BIGINT, long BOOLEAN) PARTITION BY LIST (long)",
                "CREATE TABLE index_1_rows_long PARTITION OF index_1_rows FOR VALUES IN (true)",
            ]
        )
    old = long_indexes(place["old"])
    new = place["new"]
    new.put(view)
    assert new.query("v/k").rows == []
    only = [text for text in long_indexes(new) if "(view)" in text or "(deleted)" in text]
    assert len(only) == 2
    assert [text for text in old if "(view)" in text or "(deleted)" in text] == only


def test_who_has_a_destroyed_database_open_is_told(url: str, open_place: Callable[..., Any]) -> None:
    one, other = open_place(url), open_place(url)
    mine = one["a"]
    mine.put({"_id": "old"})
    other.destroy("a")
    for use in (lambda: mine.get("old"), lambda: mine.put({"_id": "new"}), mine.info, mine.all_docs):
        with pytest.raises(NotFound, match="destroyed or replaced"):
            use()
    other["a"].put({"_id": "fresh"})
    with pytest.raises(NotFound, match="destroyed or replaced"):
        mine.put({"_id": "new"})
    assert [row.id for row in other["a"].all_docs().rows] == ["fresh"]
    mine.close()
    assert one["a"].get("fresh")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://h/db?schema=Ab", "schema must be"),
        ("postgresql://h/db?schema=pg_x", "schema must be"),
        ("postgresql://h/db?pool_size=1", "pool_size must be"),
        ("postgresql://h/db?pool_size=x", "pool_size must be"),
        ("postgresql://h/db?pool_timeout=0", "pool_timeout must be"),
        ("postgresql://u:pass#word@h/db", "a '#' in a password"),
        ("postgresql://u:pass/word@h/db", "a '/' in a password must be written %2F"),
        ("postgresql://u:123/pass@h/db", "a '/' in a password must be written %2F"),
        ("postgresql://u:pass?word@h/db", "a '\\?' in a password must be written %3F"),
        ("postgresql://u:123?pass@h/db", "a '\\?' in a password must be written %3F"),
        ("postgresql://u:pass?word=x@h/db", "a '/' or '\\?' in a password"),
        ("postgresql://u:pass@word@h/db", "an '@' in a password must be written %40"),
        ("postgresql://u:pass%zzword@h/db", "after a '%'"),
        ("postgresql://u:password%@h/db", "after a '%'"),
        ("postgresql://u:pass%00word@h/db", "after a '%'"),
        ("postgresql://h:x/db", "the port is no number"),
        ("postgresql://h:1,other:x/db", "the port is no number"),
        ("postgresql://h:99999/db", "a port is a number from 1 to 65535"),
        ("postgresql://h:0/db", "a port is a number from 1 to 65535"),
        ("postgresql://[::1/db", "an IPv6 address in \\[\\]"),
        ("postgresql://127.0.0.1/db?sslmode=maybe", "sslmode"),
    ],
)
def test_urls_that_cannot_be(url: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        list(pouchdb.setup(url, plugins=["postgres"]))
    text = str(caught.value).replace("password", "")
    assert "pass" not in text
    assert "word" not in text


@pytest.mark.parametrize(
    ("url", "libpq"),
    [
        ("postgres://u:p@h/db", "postgresql://u:p@h/db"),
        ("POSTGRESQL://h", "postgresql://h"),
        ("postgresql:///db?host=/run/postgresql&schema=a", "postgresql:///db?host=%2Frun%2Fpostgresql"),
        ("postgresql://", "postgresql://"),
        ("postgresql://%2Frun%2Fpostgresql/db", "postgresql://%2Frun%2Fpostgresql/db"),
        ("postgresql://h:1,[::1]:2/db?user=a@b", "postgresql://h:1,[::1]:2/db?user=a%40b"),
        ("postgresql://u:a%2Fb%3F%40@h/db", "postgresql://u:a%2Fb%3F%40@h/db"),
    ],
)
def test_what_libpq_gets(url: str, libpq: str) -> None:
    from pouchdb_postgres.address import address_of
    from psycopg.conninfo import conninfo_to_dict

    assert address_of(url).conninfo == libpq
    conninfo_to_dict(libpq)


def test_a_socket_in_a_folder(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    """As on one machine, where nobody needs a password."""
    name = url.partition("schema=")[2]
    place = open_place(f"postgresql:///postgres?host={postgres.home}&port={postgres.port}&user=pouchdb&schema={name}")
    place["a"].put({"_id": "x"})
    assert open_place(url)["a"].get("x")["_id"] == "x"
    assert "at 'postgresql:///postgres'" in repr(place)


def test_an_option_that_libpq_does_not_know() -> None:
    env = pouchdb.setup("postgresql://u:secret@h/db?nonsense=1", plugins=["postgres"])
    with env, pytest.raises(BadRequest, match="nonsense") as caught:
        list(env)
    assert "secret" not in str(caught.value)


def test_cockroachdb_is_refused_by_name() -> None:
    with pytest.raises(NotSupported, match="CockroachDB has no LISTEN and NOTIFY"):
        pouchdb.setup("cockroachdb://h/db", plugins=["postgres"])


def test_environments_elsewhere_are_not_concerned(tmp_path: Any) -> None:
    with pouchdb.setup(tmp_path, plugins=["postgres"]) as env:
        env["a"].put({"_id": "b"})
        assert list(env) == ["a"]
        with pytest.raises(BadRequest, match="keeps its databases elsewhere"):
            env.PouchDB("c", adapter="postgres")


async def _put_and_get(url: str) -> Any:
    env = pouchdb.setup_async(url, plugins=["postgres"])
    await env["a"].put({"_id": "b", "text": "async"})
    return (await env["a"].get("b")).text


def test_asynchronous_programs(url: str) -> None:
    import asyncio

    assert asyncio.run(_put_and_get(url)) == "async"
    pouchdb.setup(url, plugins=["postgres"]).close()
