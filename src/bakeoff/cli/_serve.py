"""`ui` and `doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from bakeoff.cli._common import EnvFileOption, JsonOption, StoreOption, console, load_env, print_json, store_at, table

__all__ = ["doctor", "ui"]


def ui(
    store: StoreOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8501,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Listen beyond this machine although nobody has to log in.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")] = True,
    env_file: EnvFileOption = None,
) -> None:
    """Open the dashboard."""
    from bakeoff.app import serve

    load_env(env_file)
    serve(store_at(store), host=host, port=port, allow_remote=allow_remote, open_browser=open_browser)


def doctor(store: StoreOption = None, env_file: EnvFileOption = None, as_json: JsonOption = False) -> None:
    """Check the installation: versions, extras, keys (never shown), the store, the sandbox."""
    from bakeoff.cli._doctor import examine

    load_env(env_file)
    findings = examine(store_at(store))
    if as_json:
        print_json([{"check": f.check, "state": f.state, "detail": f.detail} for f in findings])
    else:
        table("", ["check", "state", "detail"], [(f.check, f.state, f.detail) for f in findings])
        console().print("all is well" if all(f.state != "problem" for f in findings) else "see the problems above")
    if any(f.state == "problem" for f in findings):
        raise typer.Exit(4)
