"""Entry point: runs the commands, or says what to install."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit.

    Raises:
        SystemExit: Always.
    """
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(
            f"greenroom: the command line needs {error.name}; "
            "install it with: pip install 'greenroom[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(run())
