"""Celery tasks; the processes of the worker use the node of this machine.

    greenroom serve
    celery --workdir examples/servers --app celery_tasks worker --concurrency 3
    python examples/servers/celery_tasks.py       # orders some tasks
    greenroom status

The broker is a folder, so that there is nothing to install; yours is Redis or RabbitMQ.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from celery import Celery
from livekit.protocol.models import Room

import greenroom

TASKS = 12
FOLDER = Path(os.environ.get("CELERY_FOLDER", Path(tempfile.gettempdir(), "greenroom-celery")))
for name in ("queue", "control"):
    (FOLDER / name).mkdir(parents=True, exist_ok=True)

app = Celery(
    "celery_tasks",
    broker="filesystem://",
    broker_transport_options={
        "data_folder_in": str(FOLDER / "queue"),
        "data_folder_out": str(FOLDER / "queue"),
        "control_folder": str(FOLDER / "control"),
    },
)
telemetry = greenroom.connect()  # the worker's children are forked later, and go on with it


@app.task  # type: ignore[untyped-decorator]  # Celery ships no types
def start_room(name: str) -> None:
    """What a server would tell at the start of a room."""
    telemetry.room_started(Room(sid=f"RM_{name}", name=name))


if __name__ == "__main__":
    for number in range(TASKS):
        app.send_task("celery_tasks.start_room", [f"room-{number}"])
    print(f"{TASKS} tasks ordered")
