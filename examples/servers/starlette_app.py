"""Starlette under uvicorn: workers are started anew, and each connects for itself.

greenroom serve
uvicorn --workers 2 --app-dir examples/servers starlette_app:app
curl -X POST localhost:8000/rooms/garden/alice
"""

from __future__ import annotations

import asyncio
import os

from livekit.protocol.models import ParticipantInfo, Room
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import greenroom

telemetry = greenroom.connect()


async def join(request: Request) -> JSONResponse:
    """Somebody enters a room; the call never blocks the event loop."""
    name, identity = request.path_params["name"], request.path_params["identity"]
    room = Room(sid=f"RM_{name}", name=name)
    participant = ParticipantInfo(sid=f"PA_{identity}", identity=identity)
    telemetry.participant_joined(room, participant, None, None, True, telemetry.guard())
    return JSONResponse({"worker": os.getpid()})


async def synced(_: Request) -> JSONResponse:
    """Whether all that this worker has said took effect; `sync` waits, so on a thread."""
    done = await asyncio.to_thread(telemetry.sync, 5)
    return JSONResponse({"synced": done, "worker": os.getpid()})


app = Starlette(
    routes=[
        Route("/rooms/{name}/{identity}", join, methods=["POST"]),
        Route("/synced", synced),
    ]
)
