"""Import every built-in family once, so that each registers itself."""

from __future__ import annotations

from bakeoff.evaluators import (
    _checks_json,
    _checks_length,
    _checks_number,
    _checks_text,
    _checks_trial,
    _combine,
    _metrics_text,
    _python,
)

__all__ = [
    "_checks_json",
    "_checks_length",
    "_checks_number",
    "_checks_text",
    "_checks_trial",
    "_combine",
    "_metrics_text",
    "_python",
]
