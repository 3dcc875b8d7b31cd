"""The text of a failure: whatever an exception's own methods do, and of bounded length."""

from __future__ import annotations

import traceback
from typing import Final

MAX_ERROR: Final = 4_000  # characters; far more than people read
MAX_TRACEBACK: Final = 100_000

# The built-in ones: they ask neither a metaclass nor a subclass.
_name_of: Final = type.__dict__["__name__"].__get__
_traceback_of: Final = BaseException.__dict__["__traceback__"].__get__


def type_name(value: object) -> str:
    """The name of its type, even if the type's own attributes raise."""
    return str(_name_of(type(value)))


def failure_texts(error: BaseException) -> tuple[str, str]:
    """Its repr(), shortened in the middle, and its `traceback_text`. Never raises.

    Should repr() raise, str() is not tried: what was interrupted once would hang again.
    """
    try:
        text = _cleaned(repr(error), MAX_ERROR)
    except BaseException:  # noqa: BLE001  # of a failure there has to be a report
        text = f"<{type_name(error)}; its repr() failed>"
        return text, _cleaned("".join(traceback.format_tb(_traceback_of(error))), MAX_TRACEBACK)
    return text, traceback_text(error)


def traceback_text(error: BaseException) -> str:
    """Its traceback with causes, shortened in the middle; as much as can be had. Never raises."""
    try:
        return _cleaned("".join(traceback.format_exception(error)), MAX_TRACEBACK)
    except BaseException:  # noqa: BLE001  # as above
        return f"{type_name(error)}; its traceback cannot be told\n"


def _cleaned(text: str, limit: int) -> str:
    """Not longer than about `limit`, and with a UTF-8 form."""
    if len(text) > limit:
        left_out = len(text) - limit
        text = f"{text[: limit // 2]} … {left_out} characters … {text[-limit // 2 :]}"
    return text.encode("utf-8", "backslashreplace").decode()
