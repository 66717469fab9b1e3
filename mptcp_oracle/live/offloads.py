"""Segmentation and receive offloads of an interface, switched through the ethtool ioctl.

With offloads on, a capture at an end host shows segments of up to 64 KB that no wire carries;
with them off it shows what a wire would carry. The ioctl saves asking for one more program.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.namespaces import Namespace

__all__ = ["SWITCHES", "set_offloads"]

SIOCETHTOOL = 0x8946
# What -> (command that sets it); values of <linux/ethtool.h>.
SWITCHES: dict[str, int] = {
    "tso": 0x1F,  # ETHTOOL_STSO
    "gso": 0x24,  # ETHTOOL_SGSO
    "gro": 0x2C,  # ETHTOOL_SGRO
    "tx-checksum": 0x17,  # ETHTOOL_STXCSUM
}


def set_offloads(namespace: Namespace, interface: str, wanted: dict[str, bool]) -> None:
    """Switch offloads of one interface.

    Args:
        namespace: Where the interface is.
        interface: Its name.
        wanted: Key of :data:`SWITCHES` -> on or off.

    Raises:
        AdapterError: The driver refuses.
    """
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name, on in wanted.items():
            # struct ethtool_value { cmd, data } behind the pointer in struct ifreq.
            value = array.array("I", [SWITCHES[name], int(on)])
            request = struct.pack("16sP16x", interface.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(control.fileno(), SIOCETHTOOL, request)
            except OSError as error:
                raise AdapterError(
                    f"offload {name} of {interface} cannot be switched {'on' if on else 'off'}",
                    cause=str(error),
                ) from error
