"""The grammar of queries, as Lucene 4.10's parser reads them: each line was compared with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_search.lucene_grammar import Boosted, Group, Node, Quoted, Range, parsed, unescaped
from pouchdb_search.queries import is_near

import pouchdb


def written(node: Node) -> str:
    """A tree as Lucene's ``Query.toString`` shows it, before analysis."""
    if isinstance(node, Group):
        parts = [f"{each.joint + ' ' if each.joint else ''}{each.sign}{written(each.node)}" for each in node.clauses]
        return f"({' '.join(parts)})"
    if isinstance(node, Boosted):
        return f"{written(node.node)}^{node.boost:g}"
    name = "" if node.field == "default" else f"{node.field}:"
    if isinstance(node, Quoted):
        return f'{name}"{unescaped(node.text)}"~{node.slop}'
    if isinstance(node, Range):
        left, right = "[" if node.with_low else "{", "]" if node.with_high else "}"
        return f"{name}{left}{node.low or '*'} TO {node.high or '*'}{right}"
    shown = f"/{node.text}/" if node.kind == "regexp" else unescaped(node.text)
    return f"{name}{shown}" + ("" if node.fuzzy is None else f"~{node.fuzzy:g}")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("foo!bar", "(foo -bar)"),
        ("foo!", None),
        ("foo ! bar", "(foo ! bar)"),
        ("- foo", "(- foo)"),
        ("foo +\tbar", "(foo + bar)"),
        ("foo -", None),
        ("foo+bar foo-bar", "(foo+bar foo-bar)"),
        ("foo&&bar foo||bar", "(foo&&bar foo||bar)"),
        ("foo && bar || baz", "(foo AND bar OR baz)"),
        ('"a"&&"b"', '("a"~0 AND "b"~0)'),
        ("foo&&!bar", "(foo&& -bar)"),
        ("ANDfoo fooAND and or not", "(ANDfoo fooAND and or not)"),
        ("NOT foo AND NOT bar", "(-foo AND -bar)"),
        ("foo(bar)baz", "(foo (bar) baz)"),
        ('foo"bar"baz', '(foo "bar"~0 baz)'),
        ("a/b", None),
        ("a/b/c", "(a /b/ c)"),
        (r"/a\/b/ \/c", r"(/a\/b/ /c)"),
        ("foo~", "(foo~2)"),
        ("foo ~1", "(foo~1)"),
        ("foo~.5", "(foo~0.5)"),
        ("foo~0.75x", "(foo~2)"),
        ("foo~-1", None),
        ("foo~1^2 foo^2~1", "(foo~1^2 foo~1^2)"),
        ('"a b"~', '("a b"~0)'),
        ('"a b"~2.9^1.5', '("a b"~2^1.5)'),
        ('"a b"~x', '("a b"~0)'),
        ("foo^", None),
        ("foo^ 2", None),
        ("foo^.5", None),
        ("(foo bar)^2 baz", "((foo bar)^2 baz)"),
        ("t:foo t : bar t:(a b:c)", "(t:foo t:bar (t:a b:c))"),
        ("a:b:c", None),
        ("n:-3 n:+4 n:-3.5^2", "(n:-3 n:+4 n:-3.5^2)"),
        ("n:-x", None),
        ("*:* *:x", "(*:* *:x)"),
        ("f*:x", None),
        ("[a TO b} {a TO *]", "([a TO b} {a TO *])"),
        ('["a b" TO c\\:d]', "([a b TO c:d])"),
        ("[a-b TO (c]", "([a-b TO (c])"),
        ("[ 1\tTO\n2 ]", None),
        ("[a TO", None),
        ("[a b]", None),
        ("[a TO b c]", None),
        ("foo]", None),
        (r"\u00e9\ t\é\:", "(é té:)"),
        (r"a\u00e", None),
        (r"a\u00ex*", None),
        (r'"a \u12"', None),
        (r"[a TO \u]", None),
        (r"\\u12 /\u/", r"(\u12 /\u/)"),
        (r"a ~\u00", "(a~2)"),
        ("- : a", None),
        ("- : a:b", None),
        ("foo\\", None),
        ("foo\u3000bar\nbaz", "(foo bar baz)"),
        ("C++ AT&T a.b@c #1 $2 50% 'x' <y> a=b; c,d", "(C++ AT&T a.b@c #1 $2 50% 'x' <y> a=b; c,d)"),
        ("fo?b* f**", "(fo?b* f**)"),
        ("()", None),
        (")", None),
        ("+", None),
        ("a AND", None),
        ("OR a", None),
        ("a AND OR b", None),
        ("+-a", None),
        ("NOT NOT a", None),
        ('"a', None),
        (":a", None),
        ("a:", None),
        ("~2", None),
        ("^2", None),
    ],
)
def test_trees(text: str, tree: str | None) -> None:
    if tree is not None:
        assert written(parsed(text, "default")) == tree
    else:
        with pytest.raises(pouchdb.BadRequest, match="cannot be parsed"):
            parsed(text, "default")


def test_the_position_of_an_escape_without_four_digits() -> None:
    with pytest.raises(pouchdb.BadRequest, match="four hexadecimal digits") as error:
        parsed(r'fox "a \u00z9"', "default")
    assert error.value["position"] == 7


@settings(max_examples=500)
@given(st.text("ab \"()[]{}~*?:\\/+-!^&|<>'1.\u3000é", max_size=25))
def test_errors_are_inside_the_text(text: str) -> None:
    position = 0
    try:
        parsed(text, "default")
    except pouchdb.BadRequest as error:
        position = error["position"]
    assert 0 <= position <= len(text)


FUZZY_TERMS = [
    "a",
    "b",
    "ab",
    "ba",
    "ac",
    "cd",
    "abc",
    "acb",
    "bca",
    "xbc",
    "abcd",
    "badc",
    "abxy",
    "abcde",
    "xabcde",
    ".",
]


@contextmanager
def indexed(terms: list[str], analyzer: Any, source: str) -> Iterator[Any]:
    """A database with a document for each term, ``t``, which an index ``d/i`` finds."""
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db = environment["terms"]
        db.bulk_docs([{"_id": term, "t": term} for term in terms])
        db.put({"_id": "_design/d", "indexes": {"i": {"analyzer": analyzer, "index": source}}})
        yield db


@pytest.fixture(scope="module")
def terms() -> Any:
    with indexed(FUZZY_TERMS, "keyword", "function (doc) { index('default', doc.t); }") as db:
        yield db


@pytest.mark.parametrize("changes", [0, 1, 2])
@pytest.mark.parametrize("word", ["a", "ab", "abc", "abcd", "abcde", "zbcde"])
def test_a_fuzzy_query_changes_fewer_letters_than_either_word_has(terms: Any, word: str, changes: int) -> None:
    expected = {
        term
        for term in FUZZY_TERMS
        if any(is_near(term, word, most) and most < min(len(term), len(word)) for most in range(changes + 1))
    }
    assert {row.id for row in terms.search("d/i", q=f"{word}~{changes}", limit=200).rows} == expected


def test_fewer_changes_come_first(terms: Any) -> None:
    rows = terms.search("d/i", q="abcd~2").rows
    scores = {row.id: row.score for row in rows}
    assert scores["abcd"] > scores["abc"] == scores["abcde"] > scores["abxy"] > 0
    assert math.isclose(scores["abxy"], scores["badc"])


REGEXP_TERMS = [
    "fox",
    "foxes",
    "f^x",
    "10",
    "07",
    "7",
    "120",
    "café",
    "a b",
    "o$",
    "x&y",
    "b@c",
    "aaa",
    "FOX",
    '"q"',
    "a.b",
]


@pytest.fixture(scope="module")
def regexps() -> Any:
    source = "function (doc) { index('exact', doc.t, {store: true}); index('low', doc.t, {store: true}); }"
    analyzer = {"name": "perfield", "default": "keyword", "fields": {"low": "simple"}}
    with indexed(REGEXP_TERMS, analyzer, source) as db:
        yield db


@pytest.mark.parametrize(
    ("regexp", "found"),
    [
        ("fo.", {"fox"}),
        ("[Ff][oO]x(es)?", {"fox", "foxes"}),
        ("f^x", {"f^x"}),
        ("o$", {"o$"}),
        ("<7-10>", {"10", "07", "7"}),
        ("<07-10>", {"10", "07"}),
        ("f@", {"fox", "foxes", "f^x"}),
        ('"a.b"', {"a.b"}),
        ("a.b", {"a b", "a.b"}),
        ("a[ ]b", {"a b"}),
        ("a[^ ]b", {"a.b"}),
        ("[!-~]{3}", {"fox", "f^x", "120", "x&y", "b@c", "aaa", "FOX", '"q"', "a.b"}),
        (r"x\&y|b\@c", {"x&y", "b@c"}),
        ("a{2,}", {"aaa"}),
        ("caf[é-ë]", {"café"}),
        (r"\d+", {"10", "07", "7", "120"}),
        ("#|7", {"7"}),
        ("fox()", {"fox"}),
        ("ox", set()),
        ("*fo*x", set()),
        ("fo**x+?", {"fox"}),
        ("(a?){3}", {"aaa"}),
        ("f(o|)x", None),
        (".^.|)7", {"f^x"}),
        ("7{0}a{3}", {"aaa"}),
        ("7|a{3,1}", {"7"}),
        ("()fox|\"\"7", {"fox", "7"}),
        ("[^a-z0-9A-Z\"]q.|o[$]", {"o$"}),
        ("[a-cf][o-u\\-][xyz]", {"fox"}),
    ],
)  # fmt: skip
def test_regular_expressions_match_whole_terms(regexps: Any, regexp: str, found: set[str] | None) -> None:
    """As Lucene's class RegExp: an operator with nothing before it is a letter, ``a**`` is ``(a*)*``."""
    if found is None:
        with pytest.raises(pouchdb.BadRequest, match="is not valid at position"):
            regexps.search("d/i", q=f"exact:/{regexp}/")
        return
    rows = regexps.search("d/i", q=f"exact:/{regexp}/", highlight_fields=["exact"]).rows
    assert {row.id for row in rows} == found
    assert all(row.highlights.exact == [f"<em>{row.id}</em>"] for row in rows)


def test_letters_of_regular_expressions_are_folded_as_terms_are(regexps: Any) -> None:
    assert {row.id for row in regexps.search("d/i", q="low:/FO[A-Z]/").rows} == {"fox", "FOX"}


@pytest.mark.parametrize(
    "regexp",
    [
        *("a~", "a&b", "[z-a]", "(", "a)", "a|", "<1-1000>", "<a>", "<1-2", "[", "[]", "a{3", "a{,3}", "a{x}"),
        *("a{9999999999}", '"a', "(" * 200 + "a" + ")" * 200),
    ],
)
def test_regular_expressions_that_are_refused(regexps: Any, regexp: str) -> None:
    with pytest.raises(pouchdb.BadRequest):
        regexps.search("d/i", q=f"exact:/{regexp}/")


@given(st.lists(st.sampled_from("a b_c AND OR NOT TO and é 日本 1 1e5 _ x² ABC".split()), min_size=1, max_size=5))
def test_plain_words_are_read_quicker_and_the_same(words: list[str]) -> None:
    def tree(text: str) -> Group | str:
        try:
            return parsed(text, "default")
        except pouchdb.BadRequest:
            return "an error"

    # A blank at the end means nothing, but is no plain word.
    assert tree(" ".join(words)) == tree(" ".join(words) + " ")
