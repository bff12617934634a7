"""JavaScript functions of design documents, run where they can do no harm: in worker processes that are killed in time.

    pool = JavaScriptPool(choose_engine(builtin_engines()))          # one per environment; nothing starts yet
    sandbox = pool.open(SandboxKey("notes", "_design/app", "3-b7"), design_document)
    sandbox.compile("by_age", "map", source)                         # CompilationError
    for per_function in sandbox.map(["by_age"], documents):          # one entry per document, in it one per function:
        for pairs in per_function:                                   # [[key, value], ...], or a JavaScriptError
            ...
    sandbox.reduce(["count"], keys, values, rereduce=False)          # one outcome per function
    sandbox.reduce_groups(["count"], [(keys, values), ...], False)   # the same for many groups in one go
    sandbox.call_each("mine", [[doc], ...], shared=[request])        # filters, validation: one outcome per call
    sandbox.call("page", [doc, request], rows, negotiate)            # show, list, update: an Answer, or it raises
    for text in sandbox.stream("page", [head, request], rows):       # show, list: what it sends, while it runs
        ...
    pool.close()

Rules for all of it:

- An outcome is a JSON value or an instance of JavaScriptError: test with isinstance. What a function throws is data
  (ThrownError.thrown: `{"forbidden": …}`), and one document's failure never affects another. A time-out and a crash are
  raised, naming design document and document: an index with a document left out for a slow machine would be wrong.
- The sandbox of a revision is a name for functions, not a process: after a kill, an eviction or a fork it is made again
  by the next call. Contexts share nothing. A function that was stopped three times is refused at once
  until its design document changes (another revision or content) or `pool.release(key)`; other functions continue.
- The pool is thread-safe and runs as many calls at a time as there are cores (`Limits.workers`), each in a separate
  process; a slow database does not hold up others (turns.py). A sandbox may have a context in several processes:
  a global that a function sets may be missing in the next call. A forked child drops what it inherited and starts
  its own processes.
- Documents may be dicts, or JSON text in bytes (not encoded again). The codec is `dumps`/`loads` of the pool.
- `log(x)` goes to `on_log(key, text)`, by default the logger `pouchdb.javascript`.
- Numbers are doubles: 1.0 comes back as 1, integers above 2**53 lose digits, as in CouchDB.
- `map` and `reduce` functions may `require` only below `views/lib` (as CouchDB); all others any field of the design
  document that is a string.
- Not here: response objects, content negotiation (`negotiate` is called), built-in reduces, view signatures.

Importing this package needs no engine. Without one, choose_engine or the first call raises EngineMissing, which says
what to install. Another engine is a subclass of Engine with one file that runs in the worker: see engine_interface.py.
The rest: process.py (start, frames, deadline), worker.py (the program, its rlimits), core.js (what functions see),
turns.py (scheduling), client.py (the pool), sandbox.py, conversation.py (calls with questions to the parent),
javascript_errors.py.
"""

from __future__ import annotations

from pouchdb_core.javascript.client import JavaScriptPool
from pouchdb_core.javascript.conversation import Answer, Negotiate, Streamed
from pouchdb_core.javascript.engine_interface import Engine, Limits, choose_engine
from pouchdb_core.javascript.javascript_errors import (
    CompilationError,
    EngineMissing,
    JavaScriptError,
    LimitError,
    NoWorkerFree,
    OutOfMemory,
    OutputTooLarge,
    ThrownError,
    TimedOut,
    WorkerClosed,
    WorkerCrashed,
)
from pouchdb_core.javascript.js2py import Js2Py
from pouchdb_core.javascript.quickjs import QuickJS
from pouchdb_core.javascript.sandbox import Emitted, Outcome, Sandbox
from pouchdb_core.javascript.sandbox_pool import SandboxKey


def builtin_engines() -> list[Engine]:
    """Return the engines of this package: what the default plug-in registers."""
    return [QuickJS(), Js2Py()]


__all__ = [
    "Answer",
    "CompilationError",
    "Emitted",
    "Engine",
    "EngineMissing",
    "JavaScriptError",
    "JavaScriptPool",
    "Js2Py",
    "LimitError",
    "Limits",
    "Negotiate",
    "NoWorkerFree",
    "OutOfMemory",
    "Outcome",
    "OutputTooLarge",
    "QuickJS",
    "Sandbox",
    "SandboxKey",
    "Streamed",
    "ThrownError",
    "TimedOut",
    "WorkerClosed",
    "WorkerCrashed",
    "builtin_engines",
    "choose_engine",
]
