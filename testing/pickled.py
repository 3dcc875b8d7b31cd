"""Lets LiveKit's protobufs be pickled, as actors in processes of their own need it.

livekit-protocol's classes call themselves `models.Room` where they are
`livekit.protocol.models.Room`, so pickle does not find them again by that name.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable, Iterator

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from livekit.protocol import analytics, egress, ingress, models, webhook


def register_protobufs() -> None:
    """From now on this process can pickle them, and any that has greenroom can unpickle them."""
    files = (module.DESCRIPTOR for module in (analytics, egress, ingress, models, webhook))
    for descriptor in _messages(files):
        copyreg.pickle(GetMessageClass(descriptor), _reduce)


def parse(full_name: str, data: bytes) -> Message:
    """The protobuf of that type ("livekit.Room") whose wire form `data` is."""
    return GetMessageClass(Default().FindMessageTypeByName(full_name)).FromString(data)


def _reduce(protobuf: Message) -> tuple[Callable[[str, bytes], Message], tuple[str, bytes]]:
    return parse, (protobuf.DESCRIPTOR.full_name, protobuf.SerializeToString())


def _messages(files: Iterable[FileDescriptor]) -> Iterator[Descriptor]:
    """Of these files and all that they need; a type may come more than once."""
    for file in files:
        for descriptor in file.message_types_by_name.values():
            yield from _with_nested(descriptor)
        yield from _messages(file.dependencies)


def _with_nested(descriptor: Descriptor) -> Iterator[Descriptor]:
    yield descriptor
    for nested in descriptor.nested_types:
        yield from _with_nested(nested)
