"""The SYN filter: a listening socket stops accepting new connections, and keeps those that have begun.

Linux only; without socket filters nothing happens.
"""

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterable

SO_ATTACH_FILTER = 26

DROP_SYN = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
"""A BPF program (Linux, networking/filter). Byte 13 of the TCP header has the flags; SYN without ACK is dropped."""


def reject_new_connections(sockets: Iterable[socket.socket]) -> None:
    """Drop every SYN to these sockets. A client retries after a second, and reaches the next process if there is one.

    The filter applies to all processes that share the socket.
    """
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in DROP_SYN))
    program = struct.pack("HP", len(DROP_SYN), ctypes.addressof(instructions))
    for listening in sockets if sys.platform == "linux" else ():
        if listening.fileno() < 0:  # closed by an earlier signal
            continue
        with socket.socket(fileno=os.dup(listening.fileno())) as duplicate:
            duplicate.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
