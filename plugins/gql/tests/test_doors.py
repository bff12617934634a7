"""The command `pouchdb gql` and the endpoint `_gql`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import urllib3

import pouchdb


def test_the_server_answers(tmp_path: Path) -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    http = urllib3.PoolManager()
    with pouchdb.setup(":memory:", plugins=["server", "gql"]) as env, couch_server(env) as server:
        env["staff"].bulk_docs([{"_id": f"{n}", "n": n, "even": n % 2 == 0} for n in range(10)])
        url = f"{server.url}/staff/_gql"
        answer = http.request("GET", url, fields={"query": "select even, sum(n) group by even"})
        assert json.loads(answer.data) == {"rows": [{"even": False, "sum(n)": 25}, {"even": True, "sum(n)": 20}]}
        for body in ({"query": "select n where n > 8"}, {"select": "n", "where": "n > 8"}):
            assert json.loads(http.request("POST", url, json=body).data) == {"rows": [{"n": 9}]}
        assert json.loads(http.request("POST", url, json={"where": "n > 99"}).data) == {"rows": []}
        answer = http.request("POST", url, json={"select": "foo(n)"})
        assert answer.status == 400
        assert json.loads(answer.data)["error"] == "parsing_error"
        assert json.loads(http.request("GET", url, fields={"query": "select n", "explain": "true"}).data)["steps"]
        assert http.request("POST", url, body=b"[]", headers={"Content-Type": "application/json"}).status == 400
        # A database on a server is asked from here: its documents are read.
        remote: Any = env.PouchDB(f"{server.url}/staff")
        assert remote.gql("select max(n)").rows == [{"max(n)": 9}]
    http.clear()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb.cli.app import run

    monkeypatch.chdir(tmp_path)
    with pouchdb.setup("data", plugins=[]) as env:
        env["staff"].bulk_docs([{"name": "Ann", "age": 30}, {"name": "Bob", "age": 25}])
    assert run(["gql", "staff", "select name, age order by age"]) == 0
    assert capsys.readouterr().out == "Bob\t25\nAnn\t30\n"
    assert run(["gql", "staff", "select max(age)", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"max(age)": 30}
    assert run(["gql", "staff", "select name where age ! 3"]) == 2
    assert "^" in capsys.readouterr().err
    assert run(["gql", "staff", "select name where age > 3", "--explain"]) == 0
    assert "keep documents where age > 3" in capsys.readouterr().out
