"""Where greenroom departs from LiveKit on purpose: the reasons that reports give.

docs/differences.md has a section for each; a test keeps the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NON_2XX: Final = "non-2xx-is-a-failure"
REDIRECTS: Final = "redirects-are-not-followed"
TOKEN: Final = "token-per-attempt"
RETRY_AFTER: Final = "retry-after-is-capped"
LOCK: Final = "no-lock-leak"
STARVING: Final = "no-url-starves-another"
EXTRA_INFO: Final = "extra-webhooks-have-a-record"
SETTINGS: Final = "settings-are-fixed"
POSITIVE: Final = "settings-must-be-positive"
CONFIG_ERROR: Final = "no-secret-is-a-start-up-error"
CLOSING: Final = "closing-delivers"
CLOSED: Final = "closed-means-closed"
