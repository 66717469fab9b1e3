"""Words of tshark and of sharkd, as a comparison takes them."""

from __future__ import annotations

from functools import lru_cache

from mptcp_oracle.dissectors.dissector import Words

__all__ = ["innermost", "outer"]

#: Layers whose addresses are those of a segment.
NETWORK = {"ip": ("ip.src", "ip.dst"), "ipv6": ("ipv6.src", "ipv6.dst")}


def innermost(words: Words) -> Words:
    """The words of a frame without the addresses of all network layers but the last."""
    last, outside = outer(words.get("frame.protocols", ("",))[0])
    if not last:
        return words
    kept = {name: said for name, said in words.items() if name not in outside}
    return kept | {name: kept[name][-1:] for name in NETWORK[last] if name in kept}


@lru_cache(maxsize=1024)
def outer(protocols: str) -> tuple[str, frozenset[str]]:
    """The last of several network layers, and the address fields of other kinds of them.

    Args:
        protocols: All layers of a frame, with colons between them.

    Returns:
        Nothing, if there are not several.
    """
    layers = [layer for layer in protocols.split(":") if layer in NETWORK]
    if len(layers) < 2:
        return "", frozenset()
    others = (names for layer, names in NETWORK.items() if layer in layers and layer != layers[-1])
    return layers[-1], frozenset(name for names in others for name in names)
