"""Stores that the dashboard's tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bakeoff

MAIN = Path(bakeoff.__file__).parent / "app" / "_main.py"

HOSTILE = (
    "<script>window.__hacked=1</script><img src=http://203.0.113.9/beacon onerror='window.__hacked=2'>"
    "![x](http://203.0.113.9/y)[click](javascript:window.__hacked=3) :material/home: $x^2$ \x1b[31mred\x1b[0m "
    "\u202eright-to-left\u202c nul:\x00 lone:\ud800 <style>body{display:none}</style>"
)


def recorded(store: Path, *, n: int = 60, name: str = "recorded", repeats: int = 1) -> bakeoff.RunResult:
    """Run an experiment over recorded answers: variant `new` is right on more items than `old`. Nothing is called."""
    rows = [
        {
            "id": f"i{k:03d}",
            "question": f"question number {k}",
            "truth": str(k),
            "old": _answers(k if k % 2 else -1, repeats),
            "new": _answers(k if k % 5 else -1, repeats),
            "lang": "de" if k % 3 else "en",
        }
        for k in range(n)
    ]
    return bakeoff.run(spec(rows, name=name, repeats=repeats), store=store)


def _answers(value: int, repeats: int) -> str | list[str]:
    return str(value) if repeats == 1 else [str(value)] * repeats


def spec(rows: list[dict[str, Any]], *, name: str, repeats: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "dataset": {"rows": rows, "id": "id", "inputs": ["question"], "expected": "truth", "metadata": ["lang"]},
        "targets": {"old": {"recorded": "old"}, "new": {"recorded": "new"}},
        "evaluators": [{"numeric": {"name": "correct"}}, {"length": {"name": "size"}}],
        "analysis": {"primary": "correct", "baseline": "old", "margin": 0.05},
        "repeats": repeats,
        "mlflow": False,
    }


def hostile(store: Path, *, big: bool = False) -> bakeoff.RunResult:
    """Run an experiment whose every text from outside attacks the page."""
    text = HOSTILE * (20_000 if big else 1)
    rows = [
        {
            "id": f"{k} {HOSTILE[:60]}",
            "question": HOSTILE,
            "truth": "1",
            "old": text,
            "new": f"{HOSTILE} {k}",
            "lang": HOSTILE,
        }
        for k in range(2 if big else 6)
    ]
    data = spec(rows, name="![i](203.0.113.9) [x](y) $x$ `z`")
    data["targets"] = {
        "![old](203.0.113.9)": {"recorded": "old"},
        "**new** <script>window.__hacked=4</script>": {"recorded": "new"},
    }
    data["analysis"] = {"primary": "![m](203.0.113.9)"}
    data["evaluators"] = [{"contains": {"name": "![m](203.0.113.9)", "all": ["right-to-left"]}}]
    return bakeoff.run(data, store=store)


def simulated(store: Path, *, n: int = 40) -> bakeoff.RunResult:
    """Run two prompts on two simulated models, which have prices and latencies."""
    words = ["billing", "delivery", "refund"]
    rows = [
        {
            "id": f"i{k:03d}",
            "text": f"message {k} about {words[k % 3]}",
            "label": words[k % 3],
            "lang": "de" if k % 3 else "en",
        }
        for k in range(n)
    ]
    return bakeoff.run(
        {
            "name": "priced",
            "dataset": {"rows": rows, "id": "id", "inputs": ["text"], "expected": "label", "metadata": ["lang"]},
            "prompts": {"short": "Label: {{ text }}", "long": "Label this with care and patience: {{ text }}"},
            "models": {
                name: {"model": f"sim/{name}", "params": {"sim": {"time_scale": 0}}} for name in ("small", "large")
            },
            "factors": {"prompt": ["short", "long"], "model": ["small", "large"]},
            "evaluators": [{"label_match": {"name": "right", "labels": words}}, {"token_f1": {"name": "overlap"}}],
            "analysis": {"primary": "right"},
            "mlflow": False,
        },
        store=store,
    )
