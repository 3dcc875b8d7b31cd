"""The widths of protobuf's integers: Go's sums wrap there, Python's protobuf raises.

Mask a sum with `& UINT32` or `& UINT64` before it is set.
"""

from __future__ import annotations

from typing import Final

UINT32: Final = 2**32 - 1
UINT64: Final = 2**64 - 1
INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1
