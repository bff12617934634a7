"""The suite is the contract: every adapter runs all of it, and none bends it in silence."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pouchdb_core.testing import conformance
from pouchdb_core.testing.conformance import SUITE, Capabilities, Suite, check_module, differs, needs

FILES = sorted(path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"conformance_of_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_adapter_runs_all_of_the_suite(path: Path) -> None:
    assert check_module(loaded(path), SUITE) == []


def test_both_adapters_of_the_core_are_there() -> None:
    assert {"test_sqlite", "test_memory"} <= {path.stem for path in FILES}


def test_the_suite_is_complete() -> None:
    """A class that was forgotten in SUITE would be run by nobody."""
    found: set[Any] = set()
    for module in pkgutil.iter_modules(conformance.__path__, f"{conformance.__name__}."):
        members = vars(importlib.import_module(module.name)).values()
        found |= {each for each in members if inspect.isclass(each) and issubclass(each, Suite)}
    assert found - {Suite} == set(SUITE)


def _module(**members: Any) -> ModuleType:
    module = ModuleType("mine")
    vars(module).update(members)
    return module


class Topic(Suite):
    def test_one(self) -> None: ...


def test_a_test_that_is_left_out_is_seen() -> None:
    assert check_module(_module(), (Topic,)) == ["mine does not run Topic"]


def test_a_test_that_is_replaced_is_seen() -> None:
    class TestTopic(Topic):
        def test_one(self) -> None: ...

    wrong = check_module(_module(TestTopic=TestTopic), (Topic,))
    assert wrong == ["TestTopic.test_one replaces a test of the suite without saying why"]


def test_a_test_that_is_replaced_by_a_class_between_is_seen() -> None:
    class Softer(Topic):
        test_one = None  # type: ignore[assignment]

        def database(self) -> None: ...  # type: ignore[override]

    class TestTopic(Softer):
        pass

    wrong = check_module(_module(TestTopic=TestTopic), (Topic,))
    assert wrong == [
        "Softer.database replaces what the suite needs",
        "Softer.test_one replaces what the suite needs",
    ]


@pytest.mark.parametrize("mark", ["skip", "skipif", "xfail", "__test__ = False"])
def test_marks_that_leave_a_class_out_are_seen(mark: str) -> None:
    class TestTopic(Topic):
        pass

    if mark == "__test__ = False":
        TestTopic.__test__ = False  # type: ignore[attr-defined]
    else:
        TestTopic = getattr(pytest.mark, mark)(True, reason="for a reason")(TestTopic)
    assert check_module(_module(TestTopic=TestTopic), (Topic,)) == [f"TestTopic is marked {mark}"]


def test_marks_of_the_whole_file_are_seen() -> None:
    class TestTopic(Topic):
        pass

    for marks in (pytest.mark.skip, [pytest.mark.slow, pytest.mark.xfail]):
        wrong = check_module(_module(TestTopic=TestTopic, pytestmark=marks), (Topic,))
        assert wrong in (["mine is marked skip"], ["mine is marked xfail"])
    assert check_module(_module(TestTopic=TestTopic, pytestmark=pytest.mark.slow), (Topic,)) == []


def test_a_reason_makes_it_open() -> None:
    class TestTopic(Topic):
        @differs("the server rounds")
        def test_one(self) -> None: ...

        def test_two(self) -> None: ...

    assert check_module(_module(TestTopic=TestTopic), (Topic,)) == []
    with pytest.raises(ValueError, match="say why"):
        differs("")


def test_a_capability_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(AttributeError, match="purges"):
        needs(lambda can: can.purges)  # type: ignore[attr-defined]


def test_every_capability_is_needed_by_a_test() -> None:
    tests = [test for topic in SUITE for name, test in inspect.getmembers(topic) if name.startswith("test_")]
    needed = {name for test in tests for name, _ in getattr(test, "needs", ())}
    # What the fixtures look at themselves.
    assert set(Capabilities.__dataclass_fields__) - needed == {"checks_integrity"}


def test_the_core_does_without_pytest() -> None:
    code = "import sys, pouchdb; assert not {'pytest', 'pouchdb_core.testing'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
