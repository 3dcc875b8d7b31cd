"""The commands together, and what becomes of their errors: a sentence, never a traceback."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Annotated, Final

import typer
from jwt.warnings import InsecureKeyLengthWarning

from .. import __version__
from ..errors import GreenroomError
from .conformance import conformance
from .data_dir import EXAMPLE_DIR
from .dead_letters import dead_letters
from .journal import journal
from .output import NAME as OUTPUT_NAME
from .replay import replay
from .serve import serve
from .status import status
from .store import store
from .webhooks import webhooks

app: Final = typer.Typer(
    name="greenroom",
    help="Real-time telemetry for LiveKit-style audio/video rooms, as an actor system.",
    epilog="Example: greenroom replay call.jsonl.gz --receiver --plot call.png",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command(
    epilog="Example: greenroom replay call.jsonl.gz --speed 10 --receiver "
    "--analytics-out analytics.jsonl --plot call.png"
)(replay)
app.command(epilog="Example: greenroom conformance scenarios.jsonl.gz webhook.jsonl")(conformance)
app.command(epilog="Example: greenroom serve --config livekit.yaml --data-dir /var/lib/greenroom")(
    serve
)
app.command(epilog=f"Example: greenroom status {EXAMPLE_DIR}, or greenroom status --watch 2")(
    status
)
app.add_typer(webhooks, name="webhooks")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(journal, name="journal")
app.add_typer(store, name="store")


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # typer's form of a callback
    if wanted:
        typer.echo(f"greenroom {__version__}")
        raise typer.Exit


@app.callback()
def greenroom(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """What holds for every command."""
    del version  # it was printed already


class _OneLine(logging.Formatter):
    """Names an exception, but keeps its traceback from people who did not write the code."""

    def formatException(self, ei: object) -> str:  # noqa: N802  # logging's name
        error = ei[1] if isinstance(ei, tuple) else ei
        return f"    {type(error).__name__}: {error}"


def run(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Of the command line; None: those of the process.

    Returns:
        Exit status: 0 all went well, 1 something could not be done or somebody stopped reading
        the output, 2 the input is wrong, 130 stopped by hand.
    """
    if sys.stdout is None:  # closed by whoever started the process
        return _fail(f"{OUTPUT_NAME}: closed", 1)
    # as short a secret as LiveKit's own "secret" is the user's choice, and no news
    warnings.simplefilter("ignore", InsecureKeyLengthWarning)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("greenroom: %(message)s"))
    logger = logging.getLogger("greenroom")
    logger.addHandler(handler)
    try:
        app(args=arguments, prog_name="greenroom")
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except GreenroomError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(f"{error.filename or 'error'}: {error.strerror or error}", 1)
    finally:
        logger.removeHandler(handler)  # who runs several commands sees each message once
    return 0


def _fail(text: str, status: int) -> int:
    print(f"greenroom: {text}", file=sys.stderr)
    return status
