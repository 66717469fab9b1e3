"""Words of tshark and of sharkd, as a comparison takes them."""

from __future__ import annotations

from mptcp_oracle.dissectors.dissector import Words

__all__ = ["innermost"]

#: Layers whose addresses are those of a segment.
NETWORK = {"ip": ("ip.src", "ip.dst"), "ipv6": ("ipv6.src", "ipv6.dst")}


def innermost(words: Words) -> Words:
    """The words of a frame without the addresses of all network layers but the last."""
    layers = words.get("frame.protocols", ("",))[0].split(":")
    last = next((layer for layer in reversed(layers) if layer in NETWORK), None)
    if last is None or sum(layer in NETWORK for layer in layers) == 1:
        return words
    outer = {name for layer, names in NETWORK.items() if layer != last for name in names}
    kept = {name: said for name, said in words.items() if name not in outer}
    return kept | {name: kept[name][-1:] for name in NETWORK[last] if name in kept}
