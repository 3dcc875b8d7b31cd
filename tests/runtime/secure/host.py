"""A process that runs an actor system until it is killed: prints the process ids, then waits.

python -m tests.runtime.secure.host PORT START_METHOD
"""

from __future__ import annotations

import sys

from greenroom.runtime.secure.system import start_system

from .probes import QUIET, SECRET, Node, Probe, all_pids


def main(port: int, start_method: str) -> None:
    """Start, tell, wait."""
    system = start_system(
        {"Process Startup Method": start_method},
        admin_port=port,
        log_config=QUIET,
        secret=SECRET if start_method == "fork" else None,
    )
    node = Node(system, port, system.createActor(Probe))
    print(*all_pids(node), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
