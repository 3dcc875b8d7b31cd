"""Where greenroom departs from LiveKit on purpose: the sentences that reports give as reasons.

docs/differences.md has a section for each, with the same sentence; a test keeps them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NON_2XX: Final = "non-2xx-is-a-failure"
REDIRECTS: Final = "redirects-are-not-followed"
TOKEN: Final = "token-per-attempt"
RETRY_AFTER: Final = "retry-after-is-capped"
STARVING: Final = "no-url-starves-another"
LOCK: Final = "no-lock-leak"
EXTRA_INFO: Final = "extra-webhooks-have-a-record"
SETTINGS: Final = "settings-are-fixed"
POSITIVE: Final = "settings-must-make-sense"
CONFIG_ERROR: Final = "no-secret-is-a-start-up-error"
CLOSING: Final = "closing-delivers"
CLOSED: Final = "closed-means-closed"

REASONS: Final[Mapping[str, str]] = {
    NON_2XX: "A final answer other than 2xx is a failure, and its status is told.",
    REDIRECTS: "A redirect is not followed: it is a failure like any other answer than 2xx.",
    TOKEN: "Each attempt has a token of its own, as tokens are valid for 5 minutes only.",
    RETRY_AFTER: "A receiver's Retry-After counts up to a limit.",
    STARVING: "A full queue or a missing key at one URL keeps the event from no other.",
    LOCK: "A webhook that cannot be signed is dropped and counted; nothing blocks.",
    EXTRA_INFO: "Extra webhooks have a WebhookInfo event like those of configured URLs.",
    SETTINGS: "Settings are fixed at the start; endpoints change one by one, each change whole.",
    POSITIVE: "Settings that make no sense are refused by name, not taken for the default.",
    CONFIG_ERROR: "A URL without a secret is refused at the start, naming the setting.",
    CLOSING: "close() waits a given time; what is left then is stored, or lost and counted.",
    CLOSED: "A call after close() raises, also for an event that the filter would stop.",
}
