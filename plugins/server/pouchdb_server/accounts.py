"""Who is it? Administrators by name and password, and the cookies that stand for them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pouchdb_core.errors import Forbidden, Unauthorized
from pouchdb_core.requests import UserContext

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment
    from pouchdb_server.messages import Request, Response
    from pouchdb_server.settings import Settings

__all__ = ["ADMIN", "COOKIE", "Accounts", "basic"]

ADMIN = "_admin"
COOKIE = "AuthSession"
PARTY = UserContext(None, (ADMIN,))


class Accounts:
    """The administrators of one server."""

    def __init__(self, environment: SyncEnvironment, settings: Settings) -> None:
        self._settings = settings
        self._secret = (settings.secret or _kept_secret(environment)).encode()
        self._checked: dict[tuple[str, bytes], bool] = {}
        self._guests: set[tuple[str, str]] = set()
        """Who was let in to the party, by address and the name they called."""

    def authenticate(self, request: Request) -> UserContext | None:
        """Return whose request it is; None when it says nothing of it. Raises Unauthorized."""
        given = basic(request)
        if given is not None:
            user = self.check(*given)
            if user is None:
                raise Unauthorized(headers={"WWW-Authenticate": 'Basic realm="server"'})
            request.authenticated = "default"
            return user
        name = self.session_name(request)
        if name in self._settings.admins:
            request.authenticated = "cookie"
            return UserContext(name, (ADMIN,))
        return None

    def session_name(self, request: Request) -> str | None:
        """Return whose session a request's cookie stands for, or None: also when it is over, which is no error."""
        value = request.cookie.get(COOKIE) if "cookie" in request.headers else None
        found = self._session(value) if value else None
        return None if found is None else found[0]

    def renew(self, request: Request, response: Response) -> None:
        """Give a session that is in use a new cookie, now and then."""
        found = self._session(request.cookie.get(COOKIE, ""))
        changes_it = any(name.lower() == "set-cookie" for name, _ in response.headers)
        if found is not None and not changes_it and time.time() - found[1] > self._settings.session_timeout / 10:
            response.add("set-cookie", self.cookie_header(request, self.cookie(found[0])))

    def cookie_header(self, request: Request, value: str) -> str:
        """Return the header that sets the cookie, or removes it."""
        secure = "; Secure" if request.scheme == "https" else ""
        age = self._settings.session_timeout if value else 0
        return f"{COOKIE}={value}; Version=1; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def stranger(self, request: Request) -> UserContext:
        """Return whom a request counts for that nobody recognised. Raises Unauthorized, Forbidden."""
        if self._settings.admins:
            return UserContext()
        if self._settings.admin_party == "loopback":
            guest = request.peer, request.headers.get("host", "localhost")
            # Parsing addresses took a tenth of a get.
            if guest not in self._guests:
                if not _loopback(request.peer):
                    raise Unauthorized("there are no administrators, so this server serves its own machine only")
                _check_host(request, self._settings)
                if len(self._guests) > 1000:
                    self._guests.clear()
                self._guests.add(guest)
        return PARTY

    def check(self, name: str, password: str) -> UserContext | None:
        """Return the administrator of a name and password, or None."""
        wanted = self._settings.admins.get(name)
        if wanted is None:
            return None
        key = (name, hmac.digest(self._secret, password.encode(), "sha256"))
        known = self._checked.get(key)
        if known is None:
            # Hashing is slow on purpose, and PouchDB sends the password with every request.
            known = _matches(wanted, password)
            if len(self._checked) > 1000:
                self._checked.clear()
            self._checked[key] = known
        return UserContext(name, (ADMIN,)) if known else None

    def cookie(self, name: str, now: float | None = None) -> str:
        """Return what the cookie of a session holds."""
        head = f"{name}:{int(time.time() if now is None else now):X}"
        signed = head.encode() + b":" + self._sign(head)
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def _session(self, cookie: str) -> tuple[str, int] | None:
        try:
            signed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            name, stamp, signature = signed.split(b":", 2)
            head = (name + b":" + stamp).decode()
            made = int(stamp, 16)
        except (ValueError, binascii.Error):
            return None
        if not hmac.compare_digest(signature, self._sign(head)) or time.time() - made > self._settings.session_timeout:
            return None
        return name.decode(), made

    def _sign(self, head: str) -> bytes:
        # With the password: whoever changes it ends the sessions.
        password = self._settings.admins.get(head.partition(":")[0], "")
        return hmac.digest(self._secret + password.encode(), head.encode(), "sha256")


def basic(request: Request) -> tuple[str, str] | None:
    """Return name and password of the Authorization header. Raises Unauthorized for a broken one."""
    value: str | None = request.headers.get("authorization")
    if value is None or not value.lower().startswith("basic "):
        return None
    try:
        text = base64.b64decode(value[6:].strip(), validate=True).decode()
    except (ValueError, binascii.Error):
        raise Unauthorized("the Authorization header is not base64 of name:password") from None
    name, _, password = text.partition(":")
    return name, password


def _matches(wanted: str, password: str) -> bool:
    if not wanted.startswith("-pbkdf2"):
        return hmac.compare_digest(wanted.encode(), password.encode())
    try:
        head, _, rest = wanted[1:].partition("-")
        algorithm = head.partition(":")[2] or "sha1"
        key, salt, iterations = rest.split(",")
        derived = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt.encode(), int(iterations), len(key) // 2)
    except ValueError:
        return False
    return hmac.compare_digest(derived.hex(), key.lower())


def _loopback(peer: str) -> bool:
    if not peer:
        # A socket of the file system.
        return True
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _check_host(request: Request, settings: Settings) -> None:
    """Refuse names that are not this machine's: a page elsewhere could have its name lead here (DNS rebinding)."""
    host: str = request.headers.get("host", "localhost").lower()
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost") or name in settings.hosts:
        return
    try:
        if ipaddress.ip_address(name).is_loopback:
            return
    except ValueError:
        pass
    raise Forbidden(f"the server has no administrators and is called {name!r}: set admins, or name it in hosts")


def _kept_secret(environment: SyncEnvironment) -> str:
    if environment.directory is None:
        return secrets.token_hex(16)
    path: Path = environment.plugin_directory("server") / "secret"
    try:
        with path.open("x", encoding="ascii") as file:
            path.chmod(0o600)
            file.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    kept = path.read_text("ascii")
    # Another process may just have made it, and not have written it yet.
    return kept or secrets.token_hex(16)
