"""Entry point: builds the command tree, and turns every error of ours into one message and an exit code."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import NoReturn

from bakeoff.cli._common import tell_error
from bakeoff.errors import BakeoffError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Exit codes: 0 done, 1 a gate failed, 2 wrong use, 3 a gate is inconclusive, 4 infrastructure, 130 interrupted.
    """
    # The default looks for cycles after every 700 objects: a tenth of all CPU time goes there, and finds little.
    gc.set_threshold(50_000, 20, 50)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the terminal lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        from bakeoff.cli._app import app

        code = app(args=arguments, prog_name="bakeoff", standalone_mode=False)
    except BakeoffError as error:
        tell_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        tell_error("interrupted")
        sys.exit(130)
    except OSError as error:  # a full disk, a lost drive: where we expect one, the error is one of ours
        if os.environ.get("BAKEOFF_DEBUG"):
            raise
        tell_error(error)
        sys.exit(4)
    except MemoryError:
        tell_error("the memory is used up\n    fix: work on a part of the data (`--limit N`, or `limit:` in the file)")
        sys.exit(4)
    except Exception as error:
        import typer

        if isinstance(error, typer.Abort):
            tell_error("interrupted")
            sys.exit(130)
        show = getattr(error, "show", None)  # what typer says of a wrong option; it keeps the class to itself
        if callable(show) and hasattr(error, "exit_code"):
            try:
                show()
            finally:  # also when nobody reads it
                sys.exit(2)
        if os.environ.get("BAKEOFF_DEBUG"):
            raise
        tell_error(
            f"an error in Bakeoff itself: {type(error).__name__}: {error}\n"
            "    fix: run again with BAKEOFF_DEBUG=1 for the traceback, and report it"
        )
        sys.exit(4)
    sys.exit(code if isinstance(code, int) else 0)
