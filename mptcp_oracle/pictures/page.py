"""The page: one HTML file with everything in it, which asks nobody for anything.

Its content security policy allows the scripts that were written here, by their digests, and no
request at all. Text is escaped where it is put in (:mod:`mptcp_oracle.pictures.markup`), data is
JSON in elements that are no scripts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files

from mptcp_oracle import __version__
from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.markup import Markup, joined, tag
from mptcp_oracle.pictures.packing import script_json

__all__ = ["MOST_OCTETS", "page"]

#: The page stays below this many octets; connections that do not fit any more have no pictures.
MOST_OCTETS = 9_900_000
_SIZE = "@@@@@@@@@@"  # stands for the file's size until that is known


def page(title: str, body: Iterable[Markup], library: str) -> str:
    """The whole document.

    Args:
        title: Of the page.
        body: What it shows.
        library: The text of plotly.js.
    """
    own = files(__package__).joinpath("page.js").read_text("utf-8")
    scripts = (library, own)
    allowed = " ".join(f"'sha256-{_digest(each)}'" for each in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    head = joined(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="generator", content=f"mptcp-oracle {__version__}"),
            tag("title", title),
            Markup(f"<style>{_style()}</style>"),
        ]
    )
    data = _data("palette", {"dark": palette.DARK})
    parts = [
        Markup('<!doctype html>\n<html lang="en">'),
        tag("head", head),
        Markup("<body>"),
        *body,
        _footer(),
        data,
        *(Markup(f"<script>{each}</script>") for each in scripts),
        Markup("</body></html>\n"),
    ]
    text = "\n".join(parts)
    size = f"{len(text.encode('utf-8')) / 1e6:.2f} MB"
    return text.replace(_SIZE, size.ljust(len(_SIZE)), 1)


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _style() -> str:
    """The style sheet, with the palette's colours for both themes."""
    text = files(__package__).joinpath("page.css").read_text("utf-8")
    light = "".join(f"--s{at}:{each};" for at, each in enumerate(palette.COLOURS))
    dark = "".join(f"--s{at}:{palette.DARK[each]};" for at, each in enumerate(palette.COLOURS))
    swatches = "".join(f".s{at}{{--mark:var(--s{at})}}" for at in range(len(palette.COLOURS)))
    return text.replace("/*light*/", light).replace("/*dark*/", dark) + swatches


def _data(name: str, value: object) -> Markup:
    return Markup(f'<script type="application/json" id="{name}">{script_json(value)}</script>')


def _footer() -> Markup:
    return tag(
        "footer",
        f"Made by mptcp-oracle {__version__}. This file has {_SIZE}; it works offline and asks "
        "nobody for anything. DSNs are relative to the initial data sequence number: the first "
        "octet of a direction is 1. Frame numbers are Wireshark's. Pictures are drawn by plotly.js "
        "(MIT licence).",
    )
