"""Import every built-in family once, so that each registers itself."""

from __future__ import annotations

from bakeoff.evaluators import (
    _checks_format,
    _checks_json,
    _checks_language,
    _checks_length,
    _checks_number,
    _checks_safety,
    _checks_sets,
    _checks_sql,
    _checks_text,
    _checks_tools,
    _checks_trial,
    _combine,
    _judges,
    _judges_rag,
    _metrics_retrieval,
    _metrics_text,
    _metrics_words,
    _pairwise,
    _python,
)

__all__ = [
    "_checks_format",
    "_checks_json",
    "_checks_language",
    "_checks_length",
    "_checks_number",
    "_checks_safety",
    "_checks_sets",
    "_checks_sql",
    "_checks_text",
    "_checks_tools",
    "_checks_trial",
    "_combine",
    "_judges",
    "_judges_rag",
    "_metrics_retrieval",
    "_metrics_text",
    "_metrics_words",
    "_pairwise",
    "_python",
]
