"""A secret for the command line that is in no command line: others can read those."""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

VARIABLE: Final = "GREENROOM_WEBHOOK_SECRET"


def read_secret(api_key: str) -> str:
    """From the environment, or the first line of standard input, or asked for.

    Raises:
        typer.BadParameter: There is none.
    """
    if secret := os.environ.get(VARIABLE):
        return secret
    if sys.stdin is not None and sys.stdin.isatty():
        asked: str = typer.prompt(
            f"Secret of {api_key}", hide_input=True, confirmation_prompt=True, err=True
        )
        return asked
    secret = "" if sys.stdin is None else sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise typer.BadParameter(
            f"the secret of {api_key} comes from the variable {VARIABLE}, from standard input, or "
            "is asked for at a terminal; it is in none of them",
            param_hint="--secret",
        )
    return secret
