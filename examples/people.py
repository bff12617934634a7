"""The step about users: two of them, with different rights."""

from __future__ import annotations

from tour import Tour

import pouchdb
from pouchdb_core.errors import Unauthorized

__all__ = ["people"]


def people(tour: Tour) -> None:
    """Let people in, each with their own rights.
    Users sign up and log in, at a CouchDB or without any server. What a user may do is in the security object of each
    database; after a login it holds for every call, until the logout.
    """
    env = pouchdb.setup(":memory:")
    with tour.code():
        ward = env["ward"]
        ward.signup("ada", "sesame", metadata={"mail": "ada@example.org"})
        ward.signup("bob", "tulip")
        ward.put({"_id": "bed-7", "patient": "J."})
        ward.put_security({"admins": {"names": ["ada"]}, "members": {"names": ["ada", "bob"]}})

        ward.login("bob", "tulip")
        ward.put({**ward.get("bed-7"), "pulse": 61})
        try:
            ward.compact()
        except Unauthorized as error:
            refused = error.message

        ward.login("ada", "sesame")
        ward.compact()
        stranger = ward.as_user({"name": "eve"})
        try:
            stranger.get("bed-7")
        except Unauthorized as error:
            hidden = error.message
        ward.logout()
    kept = env["_users"].get("org.couchdb.user:ada")
    tour.list(
        [
            f"bob read and wrote; compacting was refused: {refused}",
            f"ada compacted. eve could not even read: {hidden}",
            f"of a password only its hash is kept, made of {kept.iterations:,} rounds",
        ]
    )
    tour.check("password" not in kept and kept.mail == "ada@example.org", "no password is stored")
    tour.check(ward.get("bed-7").pulse == 61, "what bob wrote is there")
    tour.command("pouchdb security ward --member ada --member bob --admin ada")
    env.close()
