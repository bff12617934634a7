"""Every endpoint of the server. One route per line: level, methods, path, handler, what it needs."""

from __future__ import annotations

from pouchdb_server.handlers import (
    about,
    attachments,
    bulk,
    changes,
    configuration,
    databases,
    documents,
    listing,
    replication,
    session,
    updates,
    views,
)
from pouchdb_server.metrics import told
from pouchdb_server.pages import files
from pouchdb_server.replicator import scheduler
from pouchdb_server.routes import Route

__all__ = ["ROUTES"]

VIEW = "/_design/{ddoc}/_view/{view}"
CONFIG = "/_node/{node}/_config"
FORMS = ("multipart/form-data",)
RELATED = ("multipart/related",)

# fmt: off
ROUTES = (
    # the server
    Route("server",   "GET",         "/",                      about.root,                   "nobody", instant=True),
    Route("server",   "GET",         "/_up",                   about.up,                     "nobody", instant=True),
    Route("server",   "GET",         "/_uuids",                about.uuids,                  "nobody"),
    Route("server",   "GET",         "/favicon.ico",           about.favicon,                "nobody"),
    Route("server",   "GET",         "/_utils",                files.index,                  "nobody"),
    Route("server",   "GET",         "/_utils/{file...}",      files.file,                   "nobody"),
    Route("server",   "GET",         "/_session",              session.get,                  "nobody"),
    Route("server",   "POST",        "/_session",              session.login,                "nobody", hashes=True),
    Route("server",   "DELETE",      "/_session",              session.logout,               "nobody"),
    Route("server",   "GET POST",    "/_dbs_info",             about.dbs_info,               "server", reads=True),
    Route("server",   "GET",         "/_active_tasks",         about.active_tasks,           "server"),
    Route("server",   "GET",         "/_db_updates",           updates.db_updates,           "server"),
    Route("server",   "POST",        "/_replicate",            replication.replicate,        "nobody", slow=True),
    Route("server",   "GET",         "/_membership",           about.membership,             "server"),
    Route("server",   "GET POST",    "/_cluster_setup",        about.cluster_setup,          "server"),
    Route("server",   "GET",         "/_scheduler/jobs",       scheduler.jobs,         "nobody"),
    Route("server",   "GET",         "/_scheduler/jobs/{id}",  scheduler.job,         "nobody"),
    Route("server",   "GET",         "/_scheduler/docs",       scheduler.docs,         "nobody"),
    Route("server",   "GET",         "/_scheduler/docs/{rest...}", scheduler.doc,         "nobody"),
    Route("server",   "GET",         "/_node/{node}",          configuration.node,           "server"),
    Route("server",   "POST",        "/_node/{node}/_restart", configuration.restart,        "server"),
    Route("server",   "GET",         "/_node/{node}/_versions", configuration.versions,      "server"),
    Route("server",   "GET",         "/_node/{node}/_system", configuration.system,          "metrics"),
    Route("server",   "POST",        CONFIG + "/_reload",      configuration.reload,         "server"),
    Route("server",   "GET",         "/_node/{node}/_stats",   told.stats,                   "metrics"),
    Route("server",   "GET",         "/_node/{node}/_stats/{rest...}", told.stats_of,        "metrics"),
    Route("server",   "GET",         "/_node/{node}/_prometheus", told.prometheus,           "metrics"),
    Route("server",   "GET",         CONFIG,                   configuration.everything,     "server"),
    Route("server",   "GET",         CONFIG + "/{section}",    configuration.section,        "server"),
    Route("server",   "GET",         CONFIG + "/{section}/{key}", configuration.get,         "server"),
    Route("server",   "PUT",         CONFIG + "/{section}/{key}", configuration.put,         "server"),
    Route("server",   "DELETE",      CONFIG + "/{section}/{key}", configuration.delete,      "server"),
    # a database
    Route("database", "GET",         "/",                      databases.info),
    Route("database", "PUT",         "/",                      databases.create,             "server", opens=False),
    Route("database", "DELETE",      "/",                      databases.destroy,            "server"),
    Route("database", "POST",        "/",                      documents.post),
    Route("database", "GET POST",    "/_all_docs",             listing.all_docs, reads=True),
    Route("database", "POST",        "/_all_docs/queries",     listing.all_docs_queries, reads=True),
    Route("database", "GET POST",    "/_design_docs",          listing.design_docs, reads=True),
    Route("database", "POST",        "/_design_docs/queries",  listing.design_docs_queries, reads=True),
    Route("database", "GET POST",    "/_local_docs",           listing.local_docs, reads=True),
    Route("database", "POST",        "/_local_docs/queries",   listing.local_docs_queries, reads=True),
    Route("database", "GET POST",    "/_changes",              changes.changes, reads=True),
    Route("database", "POST",        "/_bulk_docs",            bulk.bulk_docs),
    Route("database", "POST",        "/_bulk_get",             bulk.bulk_get, reads=True),
    Route("database", "POST",        "/_revs_diff",            bulk.revs_diff, reads=True),
    Route("database", "POST",        "/_missing_revs",         bulk.missing_revs, reads=True),
    Route("database", "POST",        "/_ensure_full_commit",   databases.ensure_full_commit),
    Route("database", "POST",        "/_compact",              databases.compact,            "admin"),
    Route("database", "POST",        "/_compact/{ddoc}",       views.compact,                "admin"),
    Route("database", "POST",        "/_view_cleanup",         views.cleanup,                "admin", slow=True),
    Route("database", "POST",        "/_purge",                databases.purge,              "server"),
    Route("database", "GET",         "/_purged_infos",         databases.purged_infos),
    Route("database", "GET",         "/_purged_infos_limit",   databases.get_purged_infos_limit, "server"),
    Route("database", "PUT",         "/_purged_infos_limit",   databases.put_purged_infos_limit, "server"),
    Route("database", "GET",         "/_revs_limit",           databases.get_revs_limit),
    Route("database", "PUT",         "/_revs_limit",           databases.put_revs_limit,     "settings"),
    Route("database", "GET",         "/_security",             databases.get_security),
    Route("database", "PUT",         "/_security",             databases.put_security,       "settings"),
    Route("database", "POST",        "/_temp_view",            views.temporary,              "admin", slow=True),
    Route("database", "GET POST",    VIEW,                     views.query, slow=views.must_build, reads=True),
    Route("database", "POST",        VIEW + "/queries",        views.queries, slow=views.must_build, reads=True),
    Route("database", "GET",         "/_design/{ddoc}/_info",  views.design_info),
    Route("database", "POST",        "/_design/{ddoc}/_rebuild", views.rebuild,              "admin", slow=True),
    # a document
    Route("document", "GET",         "/",                      documents.get),
    Route("document", "PUT",         "/",                      documents.put, streams=RELATED),
    Route("document", "DELETE",      "/",                      documents.delete),
    Route("document", "COPY",        "/",                      documents.copy),
    Route("document", "POST",        "/",                      documents.put_form, streams=FORMS),
    Route("document", "GET",         "/{attachment...}",       attachments.get),
    Route("document", "PUT",         "/{attachment...}",       attachments.put, streams=True),
    Route("document", "DELETE",      "/{attachment...}",       attachments.delete),
)
# fmt: on
