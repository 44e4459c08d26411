from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bakeoff
from bakeoff.app._lineage import chart_of, prompt_versions, run_points, standard_error, trend_figure
from bakeoff.experiments import Manifest, analyse, open_store
from bakeoff.stats import control_chart
from tests.app.support import recorded


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Manifest]]:
    folder = tmp_path_factory.mktemp("lineage")
    for n in (40, 44, 48, 52, 56):
        recorded(folder, n=n, name="nightly")
    return folder, open_store(folder).runs()


def test_points_are_the_estimates_in_order(runs: tuple[Path, list[Manifest]]) -> None:
    store = open_store(runs[0])
    points = run_points(runs[1], "correct", lambda m: analyse(store, m.run_id))
    assert [point.manifest.dataset_items for point in points] == [40, 44, 48, 52, 56]
    # Oracle: `new` is right except on multiples of five.
    expected = [sum(bool(k % 5) for k in range(n)) / n for n in (40, 44, 48, 52, 56)]
    assert [point.estimates["new"].estimate for point in points] == pytest.approx(expected)
    figure = trend_figure(points, ["old", "new"], "correct", mode="dark", percent=True)
    assert list(figure.data[1].y) == pytest.approx([100 * value for value in expected])


def test_the_chart_is_that_of_the_statistics(runs: tuple[Path, list[Manifest]]) -> None:
    store = open_store(runs[0])
    points = run_points(runs[1], "correct", lambda m: analyse(store, m.run_id))
    found = chart_of(points, "new")
    assert found is not None
    estimates = [point.estimates["new"] for point in points]
    wanted = control_chart([e.estimate for e in estimates], se=[standard_error(e) for e in estimates], baseline_runs=3)
    np.testing.assert_allclose(found.statistic, wanted.statistic)
    assert chart_of(points[:3], "new") is None


def test_versions_of_a_prompt(tmp_path: Path) -> None:
    for text in ("Say {{ q }}", "Tell {{ q }}", "Say {{ q }}"):
        bakeoff.run(
            {
                "name": "p",
                "dataset": {"rows": [{"q": "a", "expected": "a"}]},
                "prompts": {"only": text},
                "models": {"m": "sim/small"},
                "evaluators": ["exact_match"],
                "mlflow": False,
            },
            store=tmp_path,
        )
    (found,) = prompt_versions(open_store(tmp_path).runs()).values()
    assert [len(entry.runs) for entry in found] == [1, 2], "the newest first; the same text is the same version"
