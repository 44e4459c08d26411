"""A fitted router: its worth on held-out items is neither missed nor made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bakeoff.agents import fit_router, load_router, resolve_agent
from bakeoff.datasets import Item
from bakeoff.errors import SpecError
from bakeoff.targets import ModelSpec
from tests.agents.support import Script, run

MODELS = {name: ModelSpec(model=f"x/{name}") for name in ("small", "large")}


def world(seed: int, *, signal: bool, n: int = 120) -> tuple[list[str], dict[str, np.ndarray]]:
    """Hard requests need the large model, which costs 0.2; without a signal the text says nothing about it."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < 0.5
    words = ["contract" if (h if signal else rng.random() < 0.5) else "greeting" for h in hard]
    texts = [f"Please handle this {word} number {rng.integers(1000)}" for word in words]
    small = np.where(hard, rng.random(n) < 0.2, rng.random(n) < 0.9).astype(float)
    large = (rng.random(n) < 0.9).astype(float) - 0.2
    return texts, {"small": small, "large": large}


def test_a_router_finds_what_the_text_tells() -> None:
    texts, utility = world(1, signal=True)
    router = fit_router(texts, utility)
    assert router.choose("Please handle this contract number 3") == "large"
    assert router.choose("Please handle this greeting number 3") == "small"
    # The truth: 0.9 for easy requests to the small model, 0.7 for hard ones to the large one; 0.7 for large for all.
    assert router.report.routed == pytest.approx(0.8, abs=0.09)
    assert router.report.best_fixed == pytest.approx(0.7, abs=0.09)
    assert router.report.gain_low > 0
    assert router.report.best_fixed <= router.report.routed <= router.report.oracle
    assert "Routing beats large for all" in router.report.sentence


def test_a_router_that_knows_nothing_is_not_sold_as_better() -> None:
    reports = [fit_router(*world(seed, signal=False), seed=seed).report for seed in range(20)]
    assert sum(report.gain_low > 0 for report in reports) <= 1
    # It loses a little: that is its regret, and the report says so.
    assert np.mean([report.gain for report in reports]) < 0


async def test_a_saved_router_chooses_in_a_step(tmp_path: Path) -> None:
    texts, utility = world(1, signal=True)
    router = fit_router(texts, utility)
    router.save(tmp_path / "router.json")
    again = load_router(tmp_path / "router.json")
    assert [again.choose(text) for text in texts] == [router.choose(text) for text in texts]
    item = Item(id="1", inputs={"question": "Please handle this contract number 8"})
    client = Script(lambda request: request.model)
    result = await run({"router": "router.json"}, client, item=item, models=MODELS, base_dir=tmp_path)
    assert result.output == "x/large"
    assert result.trace[1]["routed_to"] == "x/large"
    for text, message in (("{}", "is not a router"), (None, "cannot be read")):
        path = tmp_path / "bad.json"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        with pytest.raises(SpecError, match=f"targets.a.agent.router: .*{message}"):
            resolve_agent({"router": "bad.json"}, name="a", models=MODELS, base_dir=tmp_path)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(SpecError, match="at least 20 requests and 2 models, got 3 and 2"):
        fit_router(["a", "b", "c"], {"x": [1, 2, 3], "y": [1, 2, 3]})
    with pytest.raises(SpecError, match="one finite utility"):
        fit_router(["a"] * 30, {"x": [1.0] * 30, "y": [float("nan")] * 30})
