"""Record what Lucene and lunr answer: see README.md."""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WORDS = "fox foxes foxy fog dog dogs cat cats car bar foo quick quicker quiet lazy the and of red reddish blue".split()
ODD = """O'Neil well-known foo.bar a.b@example.com x1 1999 3.14 12-34 AT&T U.S.A. foo_bar i/o C++ 2e3 New York 10 -7
1,000 running generalization logic don't""".split()
BEYOND = """Über café naïve 日本語テスト 한국어 mixカナmix Straße İstanbul ½ x² Ⅳ привет ש״ס नमस्ते สวัสดี a🙂b a·b
ｆｕｌｌ""".split()
BEYOND += ["so\u00adft", "zwj\u200dx", "e\u0301", "no\u00a0break"]
TAGS = ["Red", "red", "dark red", "x-y", "a:b", "the", "10"]
FIELDS = {
    "default": "standard",
    "tag": "keyword",
    "plain": "whitespace",
    "english": "english",
    "folded": "simple_asciifolding",
}
TOKENIZED = ["standard", "classic", "simple", "simple_asciifolding", "whitespace", "keyword", "cjk", "english"]
HOSTS = "a mail x-y b1 -c d- com org 1 256 1.2.3.4".split()
ENDS = [*".com .co.uk .zzz .museum .community .de. .i .info .xn--p1ai .COM .net".split(), ""]
BEFORE = "http:// HTTPS:// ftp:// file:// file:/// me@ a.b@ u:p@ http://u@ mailto:me@ x,y@ ( < é _ - [".split()
BEFORE += ["me@[1.2.3.4]", '"q t"@', "http://[::1]", "", "see "]
AFTER = """/a / ?q=1 #f %41 (x) . /b.c , ;p=1 @z " :80 : :99999/ ;type=a""".split()
SOUP = r"""+ - ! && || AND OR NOT ( ) " ~ ~1 ~0.5 ^2 ^ : tag: num: [1_TO_5] {a_TO_f] \ \+ / /fo./ < > ' , . | & # *:*
"fox_dog"~3 fo? _ num:[-3_TO_4} TO""".split()
SOUP = [each.replace("_", " ") if len(each) > 1 else each for each in SOUP] + ["\t", "\u3000"]
COUNT = 60


def text(source: random.Random, odd: list[str] = ODD) -> str:
    return " ".join(
        source.choice(WORDS) if source.random() < 0.75 else source.choice(odd) for _ in range(source.randint(1, 8))
    )


def address(source: random.Random) -> str:
    """Return what may be an address of the web, or of e-mail, or nearly."""
    host = ".".join(source.choice(HOSTS) for _ in range(source.randint(1, 4))) + source.choice(ENDS)
    return source.choice(BEFORE) + host + "".join(source.choice(AFTER) for _ in range(source.randint(0, 4)))


def leaf(source: random.Random) -> str:
    word = source.choice(WORDS)
    low, high = sorted((word, source.choice(WORDS)))
    left, right = source.choice("[{"), source.choice("]}")
    first, last = (
        source.choice(["*", "-Infinity", "-1.5", "-3", "0"]),
        source.choice(["*", "Infinity", "2.25", "5", "1e1"]),
    )
    number = f"num:{left}{first} TO {last}{right}"
    name = source.choice(list(FIELDS))
    return source.choice(
        [
            word,
            word.upper(),
            re.sub(r"([^\w ])", r"\\\1", source.choice([*ODD, *BEYOND])),
            f'"{text(source)}"' + source.choice(["", "~1", "~3", "~12"]),
            source.choice([f"{word[:2]}*", f"{word[0]}?{word[2:]}", f"{word[:-1]}?", f"{word[0]}*{word[-1]}"]),
            word + source.choice(["~", "~1", "~2", "~0.5", "~0.8"]),
            f"{left}{low} TO {high}{right}",
            number,
            source.choice(
                ["num:3", "num:10", "num:5.0", "num:\\-5", "tag:dark\\ red", "tag:x-y", "tag:a\\:b", "the", "*:*"]
            ),
            f"{name}:{word}",
            f'{name}:"{text(source)}"',
            f"{name}:({word} {source.choice(['', '+', '-'])}{source.choice(WORDS)})",
            f"{name}:{word[:2].title()}*",
            f"{word}^{source.choice(['2', '0.5'])}",
            source.choice(["/fo./", "/[a-d]+o?g/", "tag:/.*e.*/", "/(do|fo)[gx].*/", "/F.x/"]),
        ]
    )


def query(source: random.Random, depth: int = 0) -> str:
    parts = []
    for number in range(source.randint(1, 4)):
        joint = source.choice([" ", " ", " AND ", " OR ", " && ", " || "]) if number else ""
        sign = source.choice(["", "", "", "+", "-", "!", "NOT "])
        inner = f"({query(source, depth + 1)})" if depth < 2 and source.random() < 0.2 else leaf(source)
        parts.append(f"{joint}{sign}{inner}")
    return "".join(parts)


def soup(source: random.Random) -> str:
    pieces = [*WORDS, *ODD, *SOUP]
    return "".join(source.choice(pieces) + source.choice(["", " "]) for _ in range(source.randint(2, 5)))


def expression(source: random.Random, depth: int = 0) -> str:
    """Return a regular expression of Lucene's, or nearly; without ``~`` and ``&``, which are refused here."""
    kind = source.randint(0, 16)
    if kind >= 8 and depth < 3:
        inner = expression(source, depth + 1)
        if kind < 11:
            return inner + source.choice("* + ? {2} {1,2} {0,1} {1,} {,2} {2,1} {0} ** +?".split())
        if kind < 13:
            return f"({inner}{source.choice(['', '|' + expression(source, depth + 1)])})"
        return inner + expression(source, depth + 1)
    if kind < 3:
        return source.choice("abcdfgoxrt01é.F-^$ ,:=!%'_;")
    classes = "a-f abc fo 0-9 a- -a ^a é \\] \\-x a-cx-z z-a a^ .".split()
    return source.choice(
        [
            ".",
            f"[{source.choice(['', '^'])}{source.choice(classes)}]",
            source.choice(["@", "#", '"fo"', '"a.b"', "<1-31>", "<001-010>", "<10-7>", '""', "()"]),
            "\\" + source.choice(".*+?()[]{}|^$\"\\@#<>-aé"),
            source.choice([")", "(", "[", "]", "{", "}", "*", "+", "?", "|", "<", '"', ">", "<a-b>", "{a}"]),
            source.choice(["fo", "do", "ca", "re", "qu"]),
        ]
    )


def documents(source: random.Random) -> list[dict[str, Any]]:
    found = []
    for _ in range(COUNT):
        doc: dict[str, Any] = {"default": text(source, [*ODD, *BEYOND])}
        for name in ("plain", "english", "folded"):
            if source.random() < 0.5:
                doc[name] = text(source, [*ODD, *BEYOND])
        if source.random() < 0.7:
            doc["tag"] = source.choice(TAGS)
        if source.random() < 0.7:
            doc["num"] = source.choice([source.randint(-9, 9), round(source.uniform(-5, 5), 2), 10, 1999])
        found.append(doc)
    return found


def line(*parts: str) -> str:
    """A line for Lucene.java: ASCII, other characters as UTF-16 escapes."""
    escaped = []
    for part in parts:
        units = part.encode("utf-16-be")
        codes = (int.from_bytes(units[place : place + 2], "big") for place in range(0, len(units), 2))
        escaped.append("".join(chr(code) if 32 <= code < 127 and code != 92 else f"\\u{code:04x}" for code in codes))
    return "\t".join(escaped)


def told(text: str) -> str:
    units = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be")


def lucene(jars: Path, lines: Iterable[str]) -> list[str]:
    wanted = ("core", "queryparser", "analyzers-common", "queries", "sandbox")
    path = ":".join(str(jars / f"lucene-{name}-4.10.4.jar") for name in wanted)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["javac", "-nowarn", "-cp", path, "-d", directory, str(HERE / "Lucene.java")], check=True)
        command = ["java", "-cp", f"{path}:{directory}", "Lucene"]
        done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def bits(numbers: Iterable[int]) -> str:
    return f"{sum(1 << number for number in set(numbers)):x}"


def record_lucene(source: random.Random, jars: Path) -> dict[str, Any]:
    docs = documents(source)
    queries = [query(source) for _ in range(500)] + [soup(source) for _ in range(400)]
    # What is allowed here, and not in Lucene.
    queries = [each for each in queries if not re.search(r":[-+]\d|(?<!\S)[-+!(]*\*(?![:\w])", each)]
    expressions = random.Random(len(queries))
    for _ in range(300):
        queries.append(f"{expressions.choice(['', 'tag:', 'plain:'])}/{expression(expressions)}/")
    texts = [" ".join(source.choice([*ODD, *BEYOND]) for _ in range(source.randint(1, 4))) for _ in range(120)]
    lines = [line("index", ";".join(f"{name}={analyzer}" for name, analyzer in FIELDS.items()))]
    for number, doc in enumerate(docs):
        lines.append(line("document", str(number)))
        for name, value in doc.items():
            lines.append(line("text" if isinstance(value, str) else "number", name, str(value)))
        lines.append("add")
    lines.append("commit")
    lines += [line("query", each) for each in queries]
    # Of addresses there are more kinds than of other words.
    addresses = [" ".join(address(source) for _ in range(source.randint(1, 2))) for _ in range(400)]
    tokenized = [(name, each) for name in TOKENIZED for each in texts] + [("email", each) for each in addresses]
    lines += [line("tokens", name, each) for name, each in tokenized]
    answers = lucene(jars, lines)
    found = [
        [each, None if answer == "error" else bits(map(int, answer.split()))]
        for each, answer in zip(queries, answers, strict=False)
    ]
    tokens: dict[str, Any] = {}
    for (name, each), answer in zip(tokenized, answers[len(queries) :], strict=True):
        terms: list[str | None] = []
        for step, _, term in (part.partition(":") for part in answer.split("\t")[1:]):
            terms += [None] * (int(step) - 1) + [told(term)]
        tokens.setdefault(name, []).append([each, terms])
    return {"fields": FIELDS, "docs": docs, "queries": found, "tokens": tokens}


def lunr_query(source: random.Random) -> str:
    words = []
    for _ in range(source.randint(1, 3)):
        word = source.choice(WORDS) if source.random() < 0.7 else source.choice(ODD)
        word = source.choice([word, word, word[: source.randint(1, len(word))], word.upper(), f'"{word}*', f"-{word})"])
        words.append(word)
    words_joined = source.choice([" ", " ", " OR ", "  "]).join(words).replace(":", "")
    return source.choice(["", "", "", "title:", "none:"]) + words_joined + source.choice(["", "", "", ":blue"])


def record_lunr(source: random.Random, path: Path) -> dict[str, Any]:
    docs = []
    for _ in range(COUNT):
        docs.append({"default": text(source), **({"title": text(source)} if source.random() < 0.5 else {})})
    queries = [lunr_query(source) for _ in range(400)]
    done = subprocess.run(
        ["node", str(HERE / "lunr.js"), str(path)],
        input=json.dumps({"docs": docs, "queries": queries}),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(done.stdout)
    return {"docs": docs, "queries": [[each, bits(found)] for each, found in zip(queries, answers, strict=True)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jars", type=Path, required=True)
    parser.add_argument("--lunr", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for name, found in (
        ("lucene", record_lucene(random.Random(given.seed), given.jars)),
        ("lunr", record_lunr(random.Random(given.seed), given.lunr)),
    ):
        # A line for each entry, so that a difference between two recordings can be read.
        sections = []
        for key, value in found.items():
            rows = value if isinstance(value, list) else [value]
            shown = ",\n".join(json.dumps(each, ensure_ascii=False) for each in rows)
            sections.append(f"{json.dumps(key)}: " + (f"[\n{shown}\n]" if isinstance(value, list) else shown))
        (HERE / f"{name}.json").write_text("{" + ",\n".join(sections) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
