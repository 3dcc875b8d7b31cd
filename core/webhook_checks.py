"""Webhook settings that cannot work are refused at the start, not at the first webhook."""

from __future__ import annotations

from ..config import WebhookSettings
from ..errors import ConfigError, TransportError, UnsendableError
from .url import check_url
from .webhook import sign


def check_webhook(webhook: WebhookSettings) -> None:
    """Try out URLs and keys now.

    Raises:
        ConfigError: One of them is no use; the text names it.
    """
    for url in webhook.urls:
        try:
            check_url(url)
        except TransportError as error:
            raise ConfigError(f"webhook.urls: {error}") from error
    for api_key, secret in webhook.keys.items():
        try:
            sign(b"", api_key, secret, 0)
        except UnsendableError as error:
            raise ConfigError(f"webhook.keys: {error}") from error
