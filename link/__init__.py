"""The link: how the processes of a server reach their node, as data and never as code.

`docs/link.md` is the protocol. A client (`connect()`) imports no Thespian.
"""
