"""Words: a result as a plain paragraph, as a Methods paragraph, as rounded numbers."""

from bakeoff.stats.words._describe import describe, methods_paragraph
from bakeoff.stats.words._format import format_interval, format_p, format_value

__all__ = [
    "describe",
    "format_interval",
    "format_p",
    "format_value",
    "methods_paragraph",
]
