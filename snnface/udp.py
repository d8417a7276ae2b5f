"""Events from a camera over UDP: packets of 13 bytes an event, t (µs), x, y, p as little-endian u64, u16, u16, u8.

This is Faery's format ``t64_x16_y16_on8``. An empty packet ends the flow.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np

from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, Recording

SCHEME = "udp://"
_PACKET = 65_536
#: What the system keeps while we compute, where it allows as much.
_BUFFER = 1 << 23


class UdpSource:
    """Listens on ``udp://HOST:PORT``; ``dropped`` counts events that came too late or in part.

    Raises :class:`InputError` where the address is none or is taken.
    """

    def __init__(self, address: str, width: int, height: int) -> None:
        self.where, self.width, self.height, self.dropped = address, width, height, 0
        try:
            parts = urlsplit(address)
            found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_DGRAM)
            if parts.hostname is None or parts.port is None:
                raise ValueError("it names no host or no port")
            self.socket = socket.socket(*found[0][:3])
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self.socket.bind(found[0][4])
        except (OSError, ValueError) as error:
            raise InputError(
                address, f"cannot be listened on ({error})", "Give udp://HOST:PORT of this machine"
            ) from error

    def blocks(self) -> Iterator[np.ndarray]:
        """Structured events of each packet; packets older than one before them are dropped, as are broken events."""
        last = 0
        with self.socket:
            while packet := self.socket.recv(_PACKET):
                count, rest = divmod(len(packet), EVENT_DTYPE.itemsize)
                self.dropped += rest > 0
                if count == 0:
                    continue
                events = np.frombuffer(packet, EVENT_DTYPE, count).copy()
                events["p"] = events["p"].view(np.uint8) != 0
                if events["t"][0] < last:
                    self.dropped += count
                    continue
                last = int(events["t"][-1])
                yield Recording(events, self.width, self.height, self.where).events
