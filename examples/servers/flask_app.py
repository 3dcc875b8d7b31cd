"""Flask under gunicorn: many workers, one telemetry, with or without --preload.

greenroom serve
gunicorn --workers 4 --preload --chdir examples/servers flask_app:app
curl -X POST localhost:8000/rooms/garden/alice
"""

from __future__ import annotations

import os

from flask import Flask, Response, jsonify
from livekit.protocol.models import ParticipantInfo, Room

import greenroom

app = Flask(__name__)
telemetry = greenroom.connect()  # here, before gunicorn forks: each worker begins anew


@app.post("/rooms/<name>/<identity>")
def join(name: str, identity: str) -> Response:
    """Somebody enters a room."""
    room = Room(sid=f"RM_{name}", name=name)
    participant = ParticipantInfo(sid=f"PA_{identity}", identity=identity)
    telemetry.participant_joined(room, participant, None, None, True, telemetry.guard())
    return jsonify(worker=os.getpid())


@app.get("/synced")
def synced() -> Response:
    """Whether all that this worker has said took effect; for tests, not for each request."""
    return jsonify(synced=telemetry.sync(timeout=5), worker=os.getpid())
