"""Kill greenroom under load, and account for every acknowledged call.

python -m greenroom.testing.crash --rounds 1000 --seed 7
python -m greenroom.testing.crash --embedded --rounds 100
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .embedded import torture_embedded
from .plan import rounds
from .torture import torture


def main() -> int:
    """The exit status: 0, if nothing was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--seed", type=int, default=0, help="0: one that is not used yet")
    options.add_argument("--each", type=int, default=25, help="rounds between two accounts")
    options.add_argument("--embedded", action="store_true", help="a process with greenroom in it")
    options.add_argument("--keep-going", action="store_true", help="although something was found")
    options.add_argument("--plan", action="store_true", help="print what is to be killed")
    options.add_argument("--json", type=Path, metavar="FILE", help="for the summary")
    chosen = options.parse_args()
    seed = chosen.seed or time.time_ns() % 1_000_000_007
    what = " --embedded" if chosen.embedded else ""
    again = f"python -m greenroom.testing.crash{what} --rounds {chosen.rounds} --seed {seed}"
    print(f"seed {seed}; to play it again: {again}", flush=True)
    if chosen.plan:
        print(*rounds(seed, chosen.rounds), sep="\n")
    directory = Path(tempfile.mkdtemp(prefix="gr-t"))
    play = torture_embedded if chosen.embedded else torture
    try:
        summary = play(
            directory,
            seed,
            chosen.rounds,
            each=chosen.each,
            say=lambda line: print(line, flush=True),
            keep_going=chosen.keep_going,
        )
    except BaseException:
        print(f"failed; its files are in {directory}; to play it again: {again}", file=sys.stderr)
        raise
    print(summary.table())
    if chosen.json:
        summary.save(chosen.json)
    if summary.examples:
        print(f"its files are in {directory}; to play it again: {again}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
