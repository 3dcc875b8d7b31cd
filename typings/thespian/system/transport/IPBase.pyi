class TCPv4ActorAddress:
    af: int
    socktype: int
    proto: int
    sockname: tuple[str, int]
    bindname: tuple[str, int]
    @property
    def socketArgs(self) -> tuple[int, int, int]: ...
    @property
    def bindArgs(self) -> tuple[tuple[str, int]]: ...
    def __init__(
        self,
        initialIPAddr: str | None = None,
        initialIPPort: int | str = 0,
        external: object = False,
    ) -> None: ...
