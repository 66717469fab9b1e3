"""The plotting libraries: one that the page brings along, one that is installed for files.

``plotly-gl2d.min.js`` is plotly.js 3.7.0 (MIT licence, ``licenses/plotly.txt``), its published
partial bundle for points and lines, unchanged. docs/decisions/0012-pictures.md has the reasons.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec

from mptcp_oracle.errors import UsageError

__all__ = ["EXTRA", "PLOTLY", "plotly_js", "require_matplotlib"]

EXTRA = "pip install 'mptcp-oracle[plots]'"
PLOTLY = "plotly-gl2d.min.js"


def plotly_js() -> str:
    """The text of plotly.js, such that no HTML parser takes any of it for its own."""
    text = files(__package__).joinpath(PLOTLY).read_text("utf-8")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def require_matplotlib() -> None:
    """Make sure that matplotlib is there.

    Raises:
        UsageError: It is not installed.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("SVG and PNG need the package matplotlib, which is missing", hint=EXTRA)
