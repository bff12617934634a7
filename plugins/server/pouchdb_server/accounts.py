"""Who sends a request: names and passwords of administrators and of plug-ins' users, and their session cookies."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, Unauthorized
from pouchdb_core.requests import UserContext
from pouchdb_server.administrators import administrators
from pouchdb_server.guesses import Guesses
from pouchdb_server.party import PARTY, Party
from pouchdb_server.passwords import Password, kept
from pouchdb_server.processes.siblings import SIBLINGS
from pouchdb_server.roles import ADMIN

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment
    from pouchdb_server.messages import Request, Response
    from pouchdb_server.settings import Settings

__all__ = ["ADMIN", "COOKIE", "Account", "Accounts", "basic"]

COOKIE = "AuthSession"
SECRET = "server/secret"
"""What sessions are signed with, as a text that the servers of all hosts share."""
_SIGNATURES = {32: "sha256", 20: "sha1"}
"""By length: SHA-256 is what is made here, SHA-1 what CouchDB made before version 3.4."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the server has to know about a user: returned by ``pouchdb_http_account``."""

    name: str
    roles: tuple[str, ...]
    password: Password
    """What the password is checked against."""
    key: str
    """Sessions are signed with it, so it changes whenever the password does: CouchDB uses the salt."""

    @property
    def user(self) -> UserContext:
        """The user context that requests of this user are made with."""
        return UserContext(self.name, self.roles)


class Accounts:
    """All users that one server knows by name."""

    def __init__(self, environment: SyncEnvironment, settings: Settings, hook: Any = None) -> None:
        self._environment, self._settings, self._hook = environment, settings, hook
        self._secret = (settings.secret or _kept_secret(environment)).encode()
        self._made = administrators(environment)
        self._party = Party(settings)
        self._checked: dict[tuple[str, bytes], str] = {}
        """Passwords that were right, by name and digest: the key of the account at that time."""
        self._checking: dict[tuple[str, bytes], Future[bool]] = {}
        siblings = environment.state(SIBLINGS)
        self._guesses = Guesses(note=lambda noted: siblings.note("guesses", noted))
        siblings.on("guesses", self._noted)
        self._lock = threading.Lock()
        self._slowest = Password("")
        for name in settings.admins:
            if (account := self.find(name)) is not None:
                self.expect(account.password)

    # -- administrators --------------------------------------------------------------------------

    @property
    def admins(self) -> dict[str, str]:
        """Names and passwords of the administrators: those of the settings take precedence over those made later."""
        return {**self._made.all(), **self._settings.admins}

    @property
    def is_party(self) -> bool:
        """Whether there are no administrators, so that every client on this machine is one."""
        return not (self._settings.admins or self._made.all())

    @property
    def nobody(self) -> UserContext:
        """The rights of what has no owner: none, or those of every client during an admin party."""
        return PARTY if self.is_party else UserContext()

    def make_admin(self, name: str, password: str) -> None:
        """Make an administrator, now and for all servers of the environment. Raises BadRequest."""
        self._made.set(name, password)

    def remove_admin(self, name: str) -> bool:
        """Remove an administrator made at run time; False when there is none. Raises Forbidden for the last one."""
        return self._made.remove(name, last=not self._settings.admins)

    # -- requests --------------------------------------------------------------------------------

    def find(self, name: str) -> Account | None:
        """Return the account of a name: an administrator's, or what a plug-in returns."""
        text = self._settings.admins.get(name) or self._made.all().get(name)
        if text is not None:
            password = kept(text)
            return None if password is None else Account(name, (ADMIN,), password, password.fingerprint)
        if self._hook is None:
            return None
        found: Account | None = self._hook.pouchdb_http_account(environment=self._environment, name=name)
        return found

    def authenticate(self, request: Request) -> UserContext | None:
        """Return the user that sent a request; None when it has no credentials.

        A session precedes a password, as in CouchDB. Raises Unauthorized, TooManyRequests, and BadRequest for a
        malformed cookie.
        """
        session = self._session_of(request, strict=True)
        if session is not None:
            request.authenticated = "cookie"
            return session[0].user
        given = basic(request)
        if given is not None:
            user = self.check(*given, request.peer)
            if user is None:
                raise Unauthorized(
                    "Name or password is incorrect.", headers={"WWW-Authenticate": 'Basic realm="server"'}
                )
            request.authenticated = "default"
            return user
        return None

    def stranger(self, request: Request) -> UserContext:
        """Return the rights of a client that is not a known user. Raises Unauthorized, Forbidden."""
        return self._party.admit(request) if self.is_party else UserContext()

    # -- passwords -------------------------------------------------------------------------------

    def expect(self, password: Password) -> None:
        """Take as long for unknown names as for this password, if it is the slowest so far.

        Otherwise the time would reveal which names exist. A plug-in with accounts calls it at its start.
        """
        if password.iterations > self._slowest.iterations:
            self._slowest = password

    def must_hash(self, request: Request) -> bool:
        """Return whether a request has a password that was not verified before: checking it takes long."""
        try:
            given = basic(request)
        except Unauthorized:
            return False
        return given is not None and self._digest(*given) not in self._checked

    def check(self, name: str, password: str, address: str = "") -> UserContext | None:
        """Return the user of a name and password, or None. Raises TooManyRequests when a client guesses."""
        account = self.find(name)
        digest = self._digest(name, password)
        if account is not None and self._checked.get(digest) == account.key:
            # Hashing is slow on purpose, and PouchDB sends the password with every request.
            self._guesses.check(name, address)
            return account.user
        with self._lock:
            running = self._checking.get(digest)
            mine: Future[bool] | None = None
            if running is None:
                mine = self._checking[digest] = Future()
        if mine is None:
            # A client that sends many requests at a time is one attempt.
            assert running is not None
            return account.user if running.result() and account is not None else None
        try:
            self._guesses.attempt(name, address)
            right = self._matches(account, password)
            mine.set_result(right)
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._checking[digest]
        if not right or account is None:
            return None
        self._guesses.succeeded(name, address)
        if len(self._checked) > 1000:
            self._checked.clear()
        self._checked[digest] = account.key
        return account.user

    def _noted(self, noted: Iterable[tuple[str, str, int]]) -> None:
        for each in noted:
            self._guesses.noted(*each)

    def _digest(self, name: str, password: str) -> tuple[str, bytes]:
        return name, hmac.digest(self._secret, password.encode("utf-8", "replace"), "sha256")

    def _matches(self, account: Account | None, password: str) -> bool:
        slowest = self._slowest
        if account is None:
            slowest.matches(password)
            return False
        self.expect(account.password)
        right = account.password.matches(password)
        rest = slowest.iterations - account.password.iterations
        if rest > 0:
            # With fewer rounds it is made to take as long.
            hashlib.pbkdf2_hmac(slowest.digest, password.encode("utf-8", "replace"), b"", rest)
        return right

    # -- sessions --------------------------------------------------------------------------------

    def session_name(self, request: Request) -> str | None:
        """Return the user of a request's session cookie, or None, also when it has expired (not an error)."""
        session = self._session_of(request)
        return None if session is None else session[0].name

    def renew(self, request: Request, response: Response) -> None:
        """Give a session that is in use a new cookie, now and then."""
        if any(name.lower() == "set-cookie" for name, _ in response.headers):
            return
        session = self._session_of(request)
        if session is not None and time.time() - session[1] > self._settings.session_timeout / 10:
            response.add("set-cookie", self.cookie_header(request, self.cookie(session[0].name)))

    def cookie_header(self, request: Request, value: str) -> str:
        """Return the header that sets the cookie, or removes it."""
        secure = "; Secure" if request.scheme == "https" else ""
        age = self._settings.session_timeout if value else 0
        ends = formatdate(time.time() + age, usegmt=True)
        return f"{COOKIE}={value}; Version=1; Expires={ends}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def cookie(self, name: str, now: float | None = None) -> str:
        """Return the value of a session's cookie, in CouchDB's form. Raises Unauthorized for an unknown name."""
        account = self.find(name)
        if account is None:
            raise Unauthorized(f"there is no user {name!r} who could have a session")
        head = f"{name}:{int(time.time() if now is None else now):X}"
        signed = head.encode() + b":" + self._sign(head, account, "sha256")
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def _session_of(self, request: Request, *, strict: bool = False) -> tuple[Account, int] | None:
        value = request.cookie.get(COOKIE) if "cookie" in request.headers else None
        return self._session(value, strict) if value else None

    def _session(self, cookie: str, strict: bool) -> tuple[Account, int] | None:
        try:
            signed = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
            name, stamp, signature = signed.split(b":", 2)
        except (ValueError, binascii.Error):
            if strict:
                raise BadRequest("Malformed AuthSession cookie. Please clear your cookies.") from None
            return None
        try:
            head = (name + b":" + stamp).decode()
            made = int(stamp, 16)
        except ValueError:
            return None
        digest = _SIGNATURES.get(len(signature))
        # Whole seconds, as in the cookie: no session ends before its time.
        if digest is None or abs(int(time.time()) - made) > self._settings.session_timeout:
            return None
        account = self.find(name.decode())
        if account is None or not hmac.compare_digest(signature, self._sign(head, account, digest)):
            return None
        return account, made

    def _sign(self, head: str, account: Account, digest: str) -> bytes:
        return hmac.digest(self._secret + account.key.encode(), head.encode(), digest)


def basic(request: Request) -> tuple[str, str] | None:
    """Return name and password of the Authorization header, None without both. Raises Unauthorized for no base64."""
    value: str | None = request.headers.get("authorization")
    if value is None or not value.lower().startswith("basic "):
        return None
    try:
        text = base64.b64decode(value[6:].strip(), validate=True).decode()
    except (ValueError, binascii.Error):
        raise Unauthorized("the Authorization header is not base64 of name:password") from None
    name, colon, password = text.partition(":")
    # CouchDB takes it for no user at all, like `_` and `_`, with which browsers are made to forget others.
    return None if not colon or text == "_:_" else (name, password)


def _kept_secret(environment: SyncEnvironment) -> str:
    if environment.shared is not None:
        known = environment.shared.text(SECRET)
        return known or environment.shared.change(SECRET, lambda known: known or secrets.token_hex(16))
    if environment.directory is None:
        return secrets.token_hex(16)
    path: Path = environment.plugin_directory("server") / "secret"
    if not path.exists():
        # Written first, renamed then: another process that makes one at the same time finds the same, complete one.
        descriptor, made = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(16))
            with contextlib.suppress(FileExistsError):
                os.link(made, path)
        finally:
            os.unlink(made)
    return path.read_text("ascii")
