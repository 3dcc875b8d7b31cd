from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder

from thespian.actors import Actor

class SourceHashFinder(MetaPathFinder):
    srcHash: str
    def __init__(
        self, srcHash: str, decryptor: Callable[[bytes], bytes], enczfsrc: bytes
    ) -> None: ...
    def hashRoot(self) -> str: ...
    def getZipNames(self) -> list[str]: ...

def loadModuleFromHashSource(
    sourceHash: str, sources: Mapping[str, bytes], modName: str, modClass: str
) -> type[Actor]: ...
