"""`python -m greenroom.cli`: the `greenroom` command, where it is not on the path."""

from .main import main

main()
