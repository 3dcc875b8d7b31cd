"""What a system says of itself to the capability checks of actors."""

from __future__ import annotations

import sys
import time

from thespian.actors import ThespianGeneration


def own_capabilities() -> dict[str, object]:
    """What every Thespian system says of itself."""
    return {
        "Python Version": tuple(sys.version_info),
        "Thespian Generation": ThespianGeneration,
        "Thespian Version": str(int(time.time() * 1000)),
        "Thespian ActorSystem Name": "greenroom",
        "Thespian ActorSystem Version": 1,
        "Thespian Watch Supported": False,
    }
