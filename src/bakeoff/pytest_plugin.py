"""The pytest plugin: experiments and gates as tests. Loads nothing but pytest until a test uses it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bakeoff.regression import GateResult
    from bakeoff.reports import RunResult

__all__ = ["Bakeoff"]

_MARK = "bakeoff(file, *, against=None): the experiment file of this test; the fixture `bakeoff_run` is its run"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("bakeoff", "Bakeoff: experiments and gates")
    group.addoption("--bakeoff-store", default=None, help="Folder of the store [default: BAKEOFF_STORE or .bakeoff].")
    group.addoption(
        "--bakeoff-inconclusive", default="skip", choices=["skip", "fail", "pass"],
        help="What an inconclusive gate does to its test [default: skip].",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _MARK)


class Bakeoff:
    """Runs experiments and decides their gates, inside a test."""

    def __init__(self, config: pytest.Config, request: pytest.FixtureRequest) -> None:
        self._config = config
        self._request = request

    @property
    def store(self) -> str | None:
        """Folder of the store, where one was named."""
        found: str | None = self._config.getoption("--bakeoff-store")
        return found

    def run(self, source: str | Path | Mapping[str, Any]) -> RunResult:
        """Run an experiment file, relative to the test's own, or a spec as a mapping."""
        from pathlib import Path

        import bakeoff

        found = self._path(source) if isinstance(source, str | Path) else source
        return bakeoff.run(found, store=self.store)

    def gate(self, run: RunResult, *, against: str | None = None) -> GateResult:
        """Decide the gate of a run; never raises because of its outcome."""
        from bakeoff.regression import decide_gate

        result = decide_gate(run.store, run.run_id, against=against)
        self._request.node.user_properties.append(("bakeoff_outcome", result.outcome))
        self._request.node.user_properties.append(("bakeoff_run", result.run_id))
        self._request.node.user_properties.append(("bakeoff_gate", result.headline))
        return result

    def check(self, run: RunResult, *, against: str | None = None) -> GateResult:
        """Decide the gate of a run, and fail the test when the gate fails.

        An inconclusive gate skips the test with its reason, or does what `--bakeoff-inconclusive` says.
        """
        result = self.gate(run, against=against)
        if result.outcome == "pass":
            return result
        text = "\n".join(
            [result.headline, *(f"  {rule.outcome}: {rule.rule}: {rule.because}" for rule in result.rules)]
        )
        if result.outcome == "inconclusive":
            wish = self._config.getoption("--bakeoff-inconclusive")
            if wish == "skip":
                pytest.skip(text)
            if wish == "pass":
                return result
        pytest.fail(text, pytrace=False)

    def _path(self, source: str | Path) -> Path:
        from pathlib import Path

        path = Path(source)
        beside = Path(self._request.node.path).parent / path
        return beside if not path.is_absolute() and beside.exists() else path


@pytest.fixture
def bakeoff(request: pytest.FixtureRequest) -> Bakeoff:
    """Run experiments and decide gates: `bakeoff.run(file)`, `bakeoff.check(run)`."""
    return Bakeoff(request.config, request)


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Turn a mistake in a file into a failure with its message and no traceback."""
    from bakeoff.errors import BakeoffError

    try:
        yield
    except BakeoffError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def bakeoff_run(request: pytest.FixtureRequest, bakeoff: Bakeoff) -> RunResult:
    """Give the run of the experiment that the test's marker names; its gate, where it has one, is checked first."""
    marker = request.node.get_closest_marker("bakeoff")
    if marker is None or not marker.args:
        pytest.fail("the fixture `bakeoff_run` needs @pytest.mark.bakeoff('experiment.yaml')", pytrace=False)
    with _in_plain_words():
        return bakeoff.run(marker.args[0])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Check the gate of a marked test as part of its call, so that a failing gate is a failure and not an error."""
    marker = item.get_closest_marker("bakeoff")
    given: dict[str, Any] = getattr(item, "funcargs", {})
    run = given.get("bakeoff_run")
    if marker is not None and run is not None and run.manifest.spec.get("gate"):
        request: pytest.FixtureRequest = item._request  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        with _in_plain_words():
            Bakeoff(item.config, request).check(run, against=marker.kwargs.get("against"))


def _gates(terminalreporter: pytest.TerminalReporter) -> list[tuple[str, str, str]]:
    """Return (test, outcome, headline) of every gate, from the reports: they come from the workers of xdist, too."""
    found: dict[tuple[str, str, str], None] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = list(getattr(report, "user_properties", ()))
            outcomes = [value for name, value in told if name == "bakeoff_outcome"]
            headlines = [value for name, value in told if name == "bakeoff_gate"]
            for outcome, headline in zip(outcomes, headlines, strict=False):
                found[report.nodeid, str(outcome), str(headline)] = None
    return list(found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what every gate decided."""
    seen = _gates(terminalreporter)
    if not seen:
        return
    terminalreporter.section("bakeoff gates")
    for nodeid, outcome, headline in seen:
        markup = {"pass": "green", "fail": "red"}.get(outcome, "yellow")
        terminalreporter.write_line(f"{nodeid}: {headline}", **{markup: True})
