"""A process that tries to join an actor system with another secret.

python -m tests.runtime.secure.joiner PORT
"""

from __future__ import annotations

import sys

from greenroom.runtime.secure.system import join_system

from .probes import OTHER_SECRET

if __name__ == "__main__":
    join_system(admin_port=int(sys.argv[1]), secret=OTHER_SECRET)
