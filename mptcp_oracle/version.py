"""The version of the project, for whoever must name it and may import nothing else."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
