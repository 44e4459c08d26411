"""What else is varied, and which combinations are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _combinations, _parts, _state
from bakeoff.app._combinations import cross_of, level_of, level_words
from bakeoff.app._text import h, line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.app._combinations import Fraction
    from bakeoff.app._draft import Draft

__all__ = ["factor_section"]

_PROMPT_LEVELS: dict[str, tuple[Any, ...]] = {
    "temperature": (0, 0.3, 0.7, 1.0), "top_p": (0.5, 0.9, 1.0), "max_tokens": (64, 256, 1024),
    "reasoning_effort": ("low", "medium", "high"),
}  # fmt: skip
_BY_NAME = ("prompt", "model", "target")


def _agent_levels(draft: Draft) -> dict[str, tuple[Any, ...]]:
    from bakeoff.agents import patterns

    models = tuple(draft.get("models") or ())
    prompts = tuple(draft.get("prompts") or ())
    return {
        "agent.model": models,
        "agent.pattern": tuple(patterns()),
        **({"agent.prompt": prompts} if prompts else {}),
        "agent.params.temperature": (0, 0.3, 0.7, 1.0),
        "agent.retrieval.top_k": (1, 3, 5, 10),
        "agent.retrieval.method": ("bm25", "vector", "hybrid"),
        "agent.retrieval.chunk": ("whole", "sentence", "heading", "fixed"),
        "agent.memory.policy": ("none", "window", "summary", "retrieval", "hierarchical"),
        "agent.memory.window": (2, 4, 8, 16),
        "agent.context.policy": ("none", "truncate", "drop_middle", "summarise", "hierarchical", "handover"),
        "agent.limits.max_iterations": (2, 4, 8),
    }


def factor_section(draft: Draft, *, scope: str) -> None:
    """Choose factors with their levels, and which of the combinations are run."""
    if draft.get("variants"):
        _state.html(
            _parts.wrap(
                '<div class="bo-soft">The variants are written out one by one in the file; change them under “Edit as '
                "YAML”.</div>"
            )
        )
        return
    is_agent = any(isinstance(t, dict) and "agent" in t for t in (draft.get("targets") or {}).values())
    known = _agent_levels(draft) if is_agent else _PROMPT_LEVELS
    factors: dict[str, Any] = dict(draft.get("factors") or {})
    by_name = {name: levels for name, levels in factors.items() if name in _BY_NAME and _narrows(draft, name, levels)}
    varied = [name for name in factors if name not in _BY_NAME]
    with st.expander("Vary more, or leave combinations out", expanded=bool(varied or draft.get("exclude"))):
        if draft.get("targets") and not is_agent:
            st.caption("These targets are varied as they stand in the file.")
        else:
            for name, levels in by_name.items():
                st.caption(f"The file runs only these {name}s: {', '.join(line(level, 40) for level in levels)}")
            found = _levels(known, {name: factors[name] for name in varied}, scope=scope)
            draft.pop("factors", None)
            if by_name or found:
                draft["factors"] = by_name | found
        _combined(draft, scope=scope)


def _narrows(draft: Draft, name: str, levels: Sequence[Any]) -> bool:
    """Say whether a factor picks some of the prompts, models or targets: all of them are varied without it."""
    there = set(draft.get(f"{name}s") or ())
    return set(levels) < there


def _levels(
    known: Mapping[str, Sequence[Any]], current: Mapping[str, Sequence[Any]], *, scope: str
) -> dict[str, list[Any]]:
    chosen = st.multiselect(
        "Factors: what is varied beside prompts and models", list(dict.fromkeys([*current, *known])),
        default=list(current), key=f"d_factors_{scope}", accept_new_options=True, placeholder="nothing else",
        help="Any name of a parameter, or a dotted path into the agent: agent.steps.draft.model.",
    )  # fmt: skip
    found: dict[str, list[Any]] = {}
    for name in chosen:
        before = {level_words(level): level for level in current.get(name, [])}
        options = {**before, **{level_words(level): level for level in known.get(name, ())}}
        typed = st.multiselect(
            f"Levels of {line(name, 60)}", list(options), default=list(before), key=f"d_levels_{scope}_{name}",
            accept_new_options=True, placeholder="choose or type levels", format_func=lambda text: line(text, 60),
        )  # fmt: skip
        levels = [options[text] if text in options else level_of(text) for text in typed]
        if levels:
            found[name] = levels
        else:
            st.caption("It is varied as soon as it has levels.")
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def _fractions(factors: dict[str, list[Any]]) -> list[Fraction]:
    return _combinations.fractions(factors)


def _combined(draft: Draft, *, scope: str) -> None:
    """Choose all combinations, a fraction of them, or leave single pairs out."""
    cross = cross_of(draft)
    size = 1
    for levels in cross.values():
        size *= len(levels)
    # What names a prompt, a model or a level that is no longer there cannot be left out any more.
    exclude = [
        dict(pattern)
        for pattern in draft.get("exclude") or []
        if all(name in cross and level in cross[name] for name, level in pattern.items())
    ]
    smaller = _fractions(cross)
    fitting = next((place for place, one in enumerate(smaller) if exclude and one.same_as(exclude)), None)
    if smaller:
        options = [-1, *range(len(smaller))]
        chosen = st.radio(
            "Which combinations", options, index=0 if fitting is None else fitting + 1, horizontal=True,
            key=f"d_fraction_{scope}_{hash(str(cross))}",
            format_func=lambda k: f"all {size}" if k < 0 else f"{smaller[k].cells} of {size}",
            help="A fraction costs less and still says what each factor does; what it cannot tell apart stands below.",
        )  # fmt: skip
        if chosen is not None and chosen >= 0:
            _told(smaller[chosen])
            draft["exclude"] = [dict(pattern) for pattern in smaller[chosen].exclude]
            return
        if fitting is not None:
            exclude.clear()
    _left_out(draft, exclude, scope=scope)


def _told(one: Fraction) -> None:
    words = "".join(f"<li>{h(alias, 200)}</li>" for alias in one.aliases[:12])
    more = f"<li>{len(one.aliases) - 12} more</li>" if len(one.aliases) > 12 else ""
    _state.html(_parts.wrap(f'<div class="bo-soft">{h(one.sentence, 400)}<ul>{words}{more}</ul></div>'))


def _left_out(draft: Draft, exclude: list[dict[str, Any]], *, scope: str) -> None:
    """Leave out single pairs of prompt and model; other exclusions stay as they are in the file."""
    others = [pattern for pattern in exclude if set(pattern) != {"prompt", "model"}]
    prompts, models = list(draft.get("prompts") or {}), list(draft.get("models") or {})
    draft.pop("exclude", None)
    out: list[tuple[str, str]] = []
    if not draft.get("targets") and len(prompts) * len(models) > 2:
        pairs = [(p, m) for p in prompts for m in models]
        gone = [(p["prompt"], p["model"]) for p in exclude if set(p) == {"prompt", "model"}]
        out = st.multiselect(
            "Leave out", pairs, default=[pair for pair in gone if pair in pairs], key=f"d_out_{scope}_{len(pairs)}",
            format_func=lambda pair: line(f"{pair[0]} on {pair[1]}", 60), placeholder="nothing",
        )  # fmt: skip
    kept = [*others, *({"prompt": p, "model": m} for p, m in out)]
    if kept:
        draft["exclude"] = kept
