"""The admin party: without administrators every client on this machine is one, and no other client is served."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from pouchdb_core.errors import Forbidden, Unauthorized
from pouchdb_core.requests import UserContext
from pouchdb_server.roles import ADMIN

if TYPE_CHECKING:
    from pouchdb_server.messages import Request
    from pouchdb_server.settings import Settings

__all__ = ["PARTY", "Party"]

PARTY = UserContext(None, (ADMIN,))
"""The user of every request while there are no administrators."""


class Party:
    """Lets guests in, by their address and the host name in the request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._guests: set[tuple[str, str]] = set()

    def admit(self, request: Request) -> UserContext:
        """Return the rights of a guest. Raises Unauthorized, Forbidden."""
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
    """Refuse names that are not this machine's: a page elsewhere could point its name here (DNS rebinding)."""
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
