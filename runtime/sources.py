"""Loaded sources: zip files of actor classes, each under the hash of its bytes."""

from __future__ import annotations

import hashlib
import logging
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

log = logging.getLogger(__name__)

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
        self._watchers: list[ActorAddress] = []

    def __repr__(self) -> str:
        return f"<Sources {len(self.loaded)} loaded, {len(self._watchers)} watchers>"

    def watch(self, address: ActorAddress, *, enable: bool) -> None:
        """Tell this actor of what is loaded and unloaded, starting with what is; or stop."""
        self.forget(address)
        if enable:
            self._watchers.append(address)
            for source_hash in self.loaded:
                self._send(address, LoadedSource(source_hash, ""))

    def forget(self, address: ActorAddress) -> None:
        """This actor is dead, or no longer wants to know."""
        if address in self._watchers:
            self._watchers.remove(address)

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
        for watcher in self._watchers:
            self._send(watcher, LoadedSource(message.sourceHash, ""))

    def unload(self, source_hash: str) -> None:
        """Forget a source and the modules that came from it; no source: nothing happens."""
        if self.loaded.pop(source_hash, None) is not None:
            for watcher in self._watchers:
                self._send(watcher, UnloadedSource(source_hash, ""))
        for finder in sys.meta_path:
            if isinstance(finder, SourceHashFinder) and finder.srcHash == source_hash:
                root = finder.hashRoot()
                for name in [name for name in sys.modules if name.startswith(root)]:
                    del sys.modules[name]
                sys.meta_path.remove(finder)
                break
