"""A multiprocessing pool: what its workers call reaches the node, however they begin and end.

greenroom serve
python examples/servers/pool.py
"""

from __future__ import annotations

import multiprocessing
import os
import sys

from livekit.protocol.models import ParticipantInfo, Room

import greenroom

telemetry = greenroom.connect()


def record(number: int) -> int:
    """A job of the pool: somebody enters a room."""
    room = Room(sid="RM_pool", name="pool")
    participant = ParticipantInfo(sid=f"PA_{number}", identity=f"worker-{number}")
    telemetry.participant_joined(room, participant, None, None, True, telemetry.guard())
    return os.getpid()


def main() -> None:
    """Run jobs in children that are forked, and in ones that are started anew."""
    methods = sys.argv[1:] or ["fork", "spawn"]
    for start, method in enumerate(methods):
        with multiprocessing.get_context(method).Pool(4) as pool:
            jobs = range(start * 20, start * 20 + 20)
            workers = set(pool.map(record, jobs, chunksize=1))
            pool.close()
            pool.join()  # so that the children end by themselves, and hand over what they have
        print(f"{method}: 20 jobs in {len(workers)} processes")


if __name__ == "__main__":
    main()
