"""Loaded sources: zip files of actor classes, each under the hash of its bytes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from typing import BinaryIO
from zipfile import BadZipFile

from thespian.actors import (
    ActorAddress,
    LoadedSource,
    UnloadedSource,
    ValidatedSource,
    ValidateSource,
)
from thespian.system.sourceLoader import SourceHashFinder

from .guarded_log import guarded_log

log = guarded_log(__name__)

Send = Callable[[ActorAddress, object], None]


class Sources:
    """Who may validate sources, which are valid, and who wants to know.

    Args:
        send: Sends a message in the system's name.

    Source: thespian system/simpleSystemBase.py, loadActorSource to unloadActorSource.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.loaded: dict[str, bytes] = {}
        self.authority: ActorAddress | None = None
        self._watchers: dict[ActorAddress, None] = {}  # all are cells, so they can be keys
        self._users: dict[str, int] = {}  # actors that live, by the source of their class
        self._leaving: set[str] = set()  # unloaded, but still in use

    def __repr__(self) -> str:
        return f"<Sources {len(self.loaded)} loaded, {len(self._watchers)} watchers>"

    def watch(self, address: ActorAddress, *, enable: bool) -> None:
        """Tell this actor of what is loaded and unloaded, starting with what is; or stop."""
        self.forget(address)
        if enable:
            self._watchers[address] = None
            for source_hash in self.loaded:
                self._send(address, LoadedSource(source_hash, ""))

    def forget(self, address: ActorAddress) -> None:
        """This actor is dead, or no longer wants to know."""
        self._watchers.pop(address, None)

    def offer(self, file: str | BinaryIO) -> str:
        """Hand a source to the authority, if there is one; the hash that it will have.

        Raises:
            OSError: The file cannot be read.
        """
        if isinstance(file, str):
            with open(file, "rb") as opened:
                data = opened.read()
        else:
            with file:
                data = file.read()
        source_hash = hashlib.md5(data, usedforsecurity=False).hexdigest()  # as Thespian names it
        if self.authority is not None:
            self._send(self.authority, ValidateSource(source_hash, data))
        return source_hash

    def accept(self, message: ValidatedSource, sender: ActorAddress) -> None:
        """Load what the authority, and nobody else, found valid."""
        if sender is not self.authority or not message.sourceZip:
            return
        finder = SourceHashFinder(message.sourceHash, lambda zipped: zipped, message.sourceZip)
        try:
            finder.getZipNames()
        except (BadZipFile, OSError, TypeError, ValueError) as error:
            log.error("source %s is not a zip file: %s", message.sourceHash, error)
            return
        self.loaded[message.sourceHash] = message.sourceZip
        self._leaving.discard(message.sourceHash)
        for watcher in list(self._watchers):  # another thread may load or unload
            self._send(watcher, LoadedSource(message.sourceHash, ""))

    def enter(self, source_hash: str) -> None:
        """An actor is about to be made from this source."""
        self._users[source_hash] = self._users.get(source_hash, 0) + 1

    def leave(self, source_hash: str) -> None:
        """An actor from this source is dead."""
        self._users[source_hash] -= 1
        if not self._users[source_hash]:
            del self._users[source_hash]
            if source_hash in self._leaving:
                self._remove_modules(source_hash)

    def unload(self, source_hash: str) -> None:
        """Make no more actors from a source; no such source: nothing happens.

        Its modules go when the last actor that uses them is dead: as on Thespian's process bases,
        the ones that live can go on importing.
        """
        if self.loaded.pop(source_hash, None) is not None:
            for watcher in list(self._watchers):  # another thread may load or unload
                self._send(watcher, UnloadedSource(source_hash, ""))
            if source_hash in self._users:
                self._leaving.add(source_hash)
            else:
                self._remove_modules(source_hash)

    def let_go(self) -> None:
        """The end: unload everything, used or not."""
        self._users.clear()
        for source_hash in list(self.loaded):
            self.unload(source_hash)
        for source_hash in list(self._leaving):
            self._remove_modules(source_hash)

    def _remove_modules(self, source_hash: str) -> None:
        self._leaving.discard(source_hash)
        for finder in sys.meta_path:
            if isinstance(finder, SourceHashFinder) and finder.srcHash == source_hash:
                root = finder.hashRoot()
                for name in [name for name in sys.modules if name.startswith(root)]:
                    del sys.modules[name]
                sys.meta_path.remove(finder)
                break
