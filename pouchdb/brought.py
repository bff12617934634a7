"""Which first-party plug-in adds a method: the text of an AttributeError if the plug-in is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pouchdb_core.methods import camel_case

__all__ = ["DATABASE", "ENVIRONMENT", "brought"]

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "pouchdb-all-dbs": ("all_dbs", "reset_all_dbs"),
    "pouchdb-auth": ("auth_settings",),
}
"""The methods that plug-ins add to environments, by distribution, in their first spelling."""
DATABASE: Mapping[str, tuple[str, ...]] = {
    "pouchdb-auth": (
        "change_password",
        "change_username",
        "delete_admin",
        "delete_user",
        "get_membership",
        "get_session",
        "get_user",
        "get_users_database_url",
        "log_in",
        "log_out",
        "login",
        "logout",
        "multi_user_log_in",
        "multi_user_session",
        "put_user",
        "sign_up",
        "sign_up_admin",
        "signup",
    ),
    "pouchdb-collections": ("collection",),
    "pouchdb-couchapp": ("list", "rewrite", "rewrite_result_request_object", "show", "update"),
    "pouchdb-find": ("create_index", "delete_index", "explain", "find", "get_indexes"),
    "pouchdb-gql": ("gql",),
    "pouchdb-search": ("search", "search_completions", "search_suggestions"),
    "pouchdb-spatial": ("spatial", "spatial_list"),
    "pouchdb-validation": (
        "install_validation_methods",
        "uninstall_validation_methods",
        "validating_bulk_docs",
        "validating_post",
        "validating_put",
        "validating_put_attachment",
        "validating_remove",
        "validating_remove_attachment",
        "validator",
    ),
}
"""The methods that plug-ins add to databases."""


def brought(kind: Literal["database", "environment"], name: str) -> str | None:
    """Return a message about a missing method: which plug-in adds it, to ``kind`` or to the other one; or None."""
    for other, known in (("database", DATABASE), ("environment", ENVIRONMENT)):
        for distribution, names in known.items():
            if name in names or name in map(camel_case, names):
                if other != kind:
                    article = "an" if other == "environment" else "a"
                    return f"it is a method of {article} {other}, and comes with {distribution}"
                plugin = distribution.removeprefix("pouchdb-").replace("-", "_")
                return (
                    f"it comes with {distribution}: pip install {distribution}, and if setup() was given plugins, "
                    f"name {plugin!r} among them"
                )
    return None
