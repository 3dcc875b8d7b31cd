"""The pages of a database as its files have them, read without SQLite and without a change.

SQLite refuses a file that is damaged, and deletes the write-ahead log of an emptied one even
when it only reads. Here the log's frames are laid over the file, as SQLite would, and a frame
behind a damaged one is believed, too, if its own checksum is right.

Source: sqlite.org/fileformat2.html, sqlite.org/walformat.html.
"""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

MAGIC: Final = b"SQLite format 3\0"
PAGE_SIZE: Final = 4_096  # SQLite's default, which greenroom keeps
PAGE_SIZES: Final = tuple(1 << power for power in range(9, 17))
HEADER_SIZE: Final = 100
ROLLBACK_MODE: Final = b"\x01\x01"  # at 18: no write-ahead log
_LOG_HEADER: Final = struct.Struct(">IIII8sII")  # magic, version, page size, count, salts, sums
_FRAME_HEADER: Final = struct.Struct(">II8sII")  # page, pages after a commit, salts, sums
_LOG_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}  # how the words of checksums are read
_INDEX_HEADER: Final = struct.Struct("=IIIBBHII8s8s")  # of -shm; the log's salts come last
_INDEX_COPIED: Final = 96  # where -shm says how many frames are in the file already
_MASK: Final = 0xFFFF_FFFF


@dataclass(slots=True)
class LogImage:
    """A write-ahead log as it was read.

    Args:
        page_size: In bytes; 0: there is no frame.
        offsets: Where in the log each page's newest committed content is.
        page_count: Of the database after the last commit; 0: nothing was committed.
        damaged: Frames that are not what was written, with right ones behind them.
        torn: Frames at the end that are incomplete or wrong, as a crash leaves them.
        gone: Frames that were committed, by what -shm says, and are not there.
    """

    page_size: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    page_count: int = 0
    damaged: int = 0
    torn: int = 0
    gone: int = 0
    is_header_damaged: bool = False


def read_log(path: Path) -> LogImage:
    """Read a database's write-ahead log; one that is not there has no frames.

    Args:
        path: The database's file.

    Raises:
        OSError: It cannot be read.
    """
    image = LogImage()
    header, last = b"", 0
    with suppress(FileNotFoundError), _beside(path, "-wal").open("rb") as file:
        header = file.read(_LOG_HEADER.size)
        if len(header) == _LOG_HEADER.size:
            last = _read_frames(file, header, image)
        elif header:
            image.torn = 1
    salts = header[16:24] if len(header) == _LOG_HEADER.size else b""
    image.gone = max(0, _committed(path, salts) - last)
    return image


def _read_frames(file: IO[bytes], header: bytes, image: LogImage) -> int:
    """Fill the image; returns the number of the last frame that is right."""
    magic, _, size, _, salts, first, second = _LOG_HEADER.unpack(header)
    order = _LOG_MAGIC.get(magic, "<" if sys.byteorder == "little" else ">")
    image.is_header_damaged = (
        magic not in _LOG_MAGIC
        or size not in PAGE_SIZES
        or _sums(header[:24], (0, 0), order) != (first, second)
    )
    image.page_size = size = size if size in PAGE_SIZES else PAGE_SIZE
    chain = {(first, second)}
    last = number = 0
    pending: dict[int, int] = {}
    wrong: list[int] = []
    torn: list[int] = []  # those of them that are of this round of the log
    while frame := file.read(_FRAME_HEADER.size + size):
        number += 1
        if len(frame) < _FRAME_HEADER.size + size:
            wrong.append(number)
            torn.append(number)
            break
        page, count, frame_salts, *stored = _FRAME_HEADER.unpack_from(frame)
        if image.is_header_damaged and number == 1:
            salts = frame_salts
        if frame_salts != salts:  # of an earlier round of the log, or damaged
            chain = {(stored[0], stored[1])}
            wrong.append(number)
            continue
        content = frame[:8] + frame[_FRAME_HEADER.size :]
        sums = {_sums(content, start, order) for start in chain}
        if (stored[0], stored[1]) not in sums or not page:
            chain = sums | {(stored[0], stored[1])}
            wrong.append(number)
            torn.append(number)
            continue
        chain = {(stored[0], stored[1])}
        last = number
        pending[page] = file.tell() - size
        if count:
            image.offsets.update(pending)
            image.page_count = count
            pending.clear()
    image.damaged = sum(one < last for one in wrong)
    image.torn = sum(one > last for one in torn)
    if not last and image.is_header_damaged:
        image.damaged, image.torn = len(wrong), 0
    return last


def _sums(data: bytes, start: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & _MASK
        second = (second + other + first) & _MASK
    return first, second


def _committed(path: Path, salts: bytes) -> int:
    """Up to which frame was committed and not copied to the file yet, by what -shm says."""
    try:
        index = _beside(path, "-shm").read_bytes()[: _INDEX_COPIED + 4]
    except OSError:
        return 0
    if len(index) < _INDEX_COPIED + 4 or index[:48] != index[48:96]:
        return 0
    _, _, _, is_set, _, _, frames, _, _, known = _INDEX_HEADER.unpack_from(index)
    (copied,) = struct.unpack_from("=I", index, _INDEX_COPIED)
    if not is_set or copied >= frames or (salts and known != salts):
        return 0
    return int(frames)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


class PageImage:
    """The pages of a database and of its log; to be closed.

    Args:
        path: The database's file; if it is not there, its pages are those of the log.

    Raises:
        OSError: The file or the log cannot be opened, or is no file.
    """

    def __init__(self, path: Path) -> None:
        self.log = read_log(path)
        self._file = self._log_file = -1
        with suppress(FileNotFoundError):
            self._file = os.open(path, os.O_RDONLY)
        try:
            self.file_size = os.fstat(self._file).st_size if self._file >= 0 else 0
            self.header = self._read(self._file, 0, HEADER_SIZE) or b""
            if self.log.offsets:
                self._log_file = os.open(_beside(path, "-wal"), os.O_RDONLY)
        except BaseException:
            self.close()
            raise
        self.page_size = self._page_size()
        first = self.page(1) or b""
        self.header = first[:HEADER_SIZE] or self.header
        in_file = self.file_size // self.page_size
        self.last_page = max(in_file, *self.log.offsets, 0) if self.log.offsets else in_file
        self.page_count = self.log.page_count or self._counted()

    @property
    def missing(self) -> int:
        """Pages at the end that the database has and the files have not, or not whole."""
        return max(0, self.page_count - self.last_page)

    def page(self, number: int) -> bytes | None:
        """A page, counted from 1; None: it is not there, or the disk does not give it."""
        offset = self.log.offsets.get(number)
        if offset is not None:
            content = self._read(self._log_file, offset, self.page_size)
        elif number < 1:
            return None
        else:
            content = self._read(self._file, (number - 1) * self.page_size, self.page_size)
        return content if content and len(content) == self.page_size else None

    def write_to(self, file: IO[bytes]) -> int:
        """Write it as one file that needs no log; returns how many pages could not be read."""
        unread = 0
        for number in range(1, min(self.page_count or self.last_page, self.last_page) + 1):
            content = self.page(number)
            if content is None:
                unread += 1
                content = bytes(self.page_size)
            if number == 1:
                content = content[:18] + ROLLBACK_MODE + content[20:]
            file.write(content)
        file.flush()
        return unread

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._file, self._log_file):
            if file >= 0:
                os.close(file)
        self._file = self._log_file = -1

    def _read(self, file: int, offset: int, size: int) -> bytes | None:
        if file < 0:
            return None
        try:
            return os.pread(file, size, offset)
        except IsADirectoryError:
            raise
        except OSError:  # a bad sector is one page less
            return None

    def _page_size(self) -> int:
        if self.log.offsets:
            return self.log.page_size
        size = int.from_bytes(self.header[16:18], "big")
        size = 65_536 if size == 1 else size
        return size if size in PAGE_SIZES and self.header.startswith(MAGIC) else PAGE_SIZE

    def _counted(self) -> int:
        """Pages by the header, if it was written by whoever changed the file last."""
        if len(self.header) == HEADER_SIZE and self.header[24:28] == self.header[92:96]:
            return int.from_bytes(self.header[28:32], "big")
        return -(-self.file_size // self.page_size)
