"""plugins and completion: what each plug-in adds, and help for the shell."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import click
from click.shell_completion import get_completion_class

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.info import __version__
from pouchdb.setup import installed_plugins
from pouchdb_core.defaults import CORE_PLUGINS
from pouchdb_core.plugins import Plugins

__all__ = ["COMMANDS", "completion", "plugins"]


@click.command(cls=Command, examples=["pouchdb plugins"])
@click.option("--core", is_flag=True, help="Include the core, whose own behaviour uses the same hooks.")
@click.pass_obj
def plugins(session: Session, core: bool) -> None:
    """List the installed plug-ins and what each adds: methods, commands, hooks."""
    loaded = Plugins([*CORE_PLUGINS, *installed_plugins()])
    own = {name for name, _ in CORE_PLUGINS}
    points = {point.name: point for point in entry_points(group="pouchdb")}
    found: list[dict[str, Any]] = []
    for name, plugin in loaded.manager.list_name_plugin():
        if name in own and not core:
            continue
        point = points.get(name)
        dist = None if point is None else point.dist
        found.append(
            {
                "name": name,
                "distribution": "pouchdb" if dist is None else dist.name,
                "version": __version__ if dist is None else dist.version,
                "module": getattr(plugin, "__name__", type(plugin).__name__),
                "database_methods": [each.name for owner, each in loaded.database_methods() if owner == name],
                "environment_methods": [each.name for owner, each in loaded.environment_methods() if owner == name],
                "commands": sorted(each for each, owner in session.owners.items() if owner == name),
                "adapters": _brought(loaded, name, "pouchdb_adapters"),
                "indexes": _brought(loaded, name, "pouchdb_index_kinds"),
                "hooks": sorted({each.name for each in loaded.manager.get_hookcallers(plugin) or ()}),
            }
        )
    output = session.output
    if output.json:
        for about in found:
            output.data(about)
        return
    for about in found:
        output.styled(
            (about["name"], "bold"), f"  {about['distribution']} {about['version']}", (f"  {about['module']}", "dim")
        )
        for key in ("database_methods", "environment_methods", "commands", "adapters", "indexes", "hooks"):
            if about[key]:
                output.line(f"  {key.replace('_', ' ')}: {', '.join(about[key])}")
    if not found:
        output.note("no plug-ins are installed: pip install 'pouchdb[all]' brings those of the project")


def _brought(loaded: Plugins, name: str, hook: str) -> list[str]:
    """Return the names of the objects that a plug-in returns from a hook."""
    caller: Any = getattr(loaded.manager.hook, hook)
    return [each.name for made in caller.get_hookimpls() if made.plugin_name == name for each in made.function()]


@click.command(
    cls=Command,
    examples=[
        "pouchdb completion bash > ~/.local/share/bash-completion/completions/pouchdb",
        'pouchdb completion zsh > "${fpath[1]}/_pouchdb"',
        "pouchdb completion fish > ~/.config/fish/completions/pouchdb.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None, "click has all three"
    click.echo(kind(ctx.find_root().command, {}, "pouchdb", "_POUCHDB_COMPLETE").source())


COMMANDS = (plugins, completion)
