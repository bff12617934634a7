"""A PostgreSQL server of the tests' own: in a temporary directory, on a port nobody has, by a user that may run one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

__all__ = ["Postgres", "binaries", "missing"]

PLACES = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")


def binaries() -> Path | None:
    """Return the folder of initdb and postgres: the newest there is."""
    # It may be a link: the others are where it is.
    found = [Path(path).resolve() for path in (shutil.which("initdb"),) if path]
    for place in PLACES:
        found += sorted(Path(place).glob("*/bin/initdb"), reverse=True)
    return found[0].parent if found else None


def missing() -> str | None:
    """Return why no server can be started."""
    if binaries() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL does not run as root, and there is no setpriv"
    return None


def _children(parent: int) -> list[int]:
    """Return the processes that a process started; none without /proc, where they end by themselves soon after it."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may have spaces: state, parent, ...
            if int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


class Postgres:
    """One server; ``stop`` and ``kill`` end it, ``start`` starts it again where it was.

    With ``follows`` it is a standby of that one, until ``promote``.
    """

    def __init__(self, *, durable: bool = False, follows: Postgres | None = None) -> None:
        self.durable = durable
        folder = binaries()
        assert folder is not None
        self.binaries = folder
        # Not below pytest's, which other users cannot enter.
        self.home = Path(tempfile.mkdtemp(prefix="pouchdb-postgres-"))
        self.data = self.home / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._become: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self.home, user.pw_uid, user.pw_gid)
            self._become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        if follows is None:
            self._run("initdb", "-D", self.data, "-U", "pouchdb", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        else:
            at = ("-h", "127.0.0.1", "-p", follows.port, "-U", "pouchdb")
            self._run("pg_basebackup", *at, "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-N")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._become, str(self.binaries / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.home, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def url(self, **query: object) -> str:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://pouchdb@127.0.0.1:{self.port}/postgres{'?' if asked else ''}{asked}"

    def start(self) -> None:
        deadline = time.monotonic() + 60
        while not self._started(deadline):
            assert time.monotonic() < deadline, self._log()

    def _log(self) -> str:
        return (self.home / "log").read_text("utf-8", "replace")

    def _started(self, deadline: float) -> bool:
        """Start it; return False if it has to be done again: a process of the one before still holds its memory."""
        before = len(self._log()) if (self.home / "log").exists() else 0
        with (self.home / "log").open("ab") as log:
            options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": self.home, "port": self.port}
            # Tests end processes, not the machine: what was written to a file is kept.
            options["fsync"] = "on" if self.durable else "off"
            self.process = subprocess.Popen(
                [*self._become, str(self.binaries / "postgres"), "-D", str(self.data)]
                + [f"-c{name}={value}" for name, value in options.items()],
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError as error:
                ended = self.process.poll() is not None
                if ended and "shared memory block" in self._log()[before:]:
                    return False
                if ended or time.monotonic() > deadline:
                    raise AssertionError(self._log()) from error
                time.sleep(0.02)
            else:
                return True

    def follow(self, other: Postgres) -> None:
        """Wait until this standby shows all that the other server has committed."""
        ((written,),) = other.run("SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + 60
        while self.run(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn") != [(True,)]:
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.02)

    def promote(self) -> None:
        """Make this standby a server of its own."""
        assert self.run("SELECT pg_promote()") == [(True,)]

    def kill(self) -> None:
        """kill -9 of all of its processes: what a power cut leaves, but for the disk's cache."""
        assert self.process is not None
        # It starts no others meanwhile. Each of them has a process group of its own.
        self.process.send_signal(signal.SIGSTOP)
        children = _children(self.process.pid)
        self.process.send_signal(signal.SIGKILL)
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it; who is connected loses the connection."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.home)

    def tool(self, program: str, *arguments: object, stdin: bytes | None = None) -> bytes:
        """Run a client of PostgreSQL's on the server; return what it prints."""
        command = [str(self.binaries / program), "-h", "127.0.0.1", "-p", str(self.port), "-U", "pouchdb"]
        done = subprocess.run([*command, *map(str, arguments)], input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def run(self, sql: str) -> list[tuple[object, ...]]:
        """Execute a statement as another program would."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []
