"""Kill a run again and again on a bad network, and check by the server's own log that the promises held.

    python benchmarks/chaos.py --report docs/chaos.md
    python benchmarks/chaos.py --trials 600 --kills 4 --requests-per-minute 2400

`bakeoff run` works against `fault_server.py`, which refuses, breaks, resets, hangs and garbles on purpose
and writes down every request. The process is killed with SIGKILL at random moments and resumed. On its way
the run must also stop at a budget in USD that is too small, and go on with a larger one.

The promises, each checked from the server's log and the sealed run:

1. every planned trial is there: answered with the right text, or failed with a reason;
2. no trial was answered twice, apart from calls in flight at a kill (concurrency x kills);
3. no window of sixty seconds on the server's clock held more requests or tokens than declared, and
   no shorter one more than the steady rate and one burst;
4. the bill never passed the budget, neither when the run stopped at the small one nor at the end.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from fault_server import Options, fullest_window, serving

__all__ = ["Plan", "Report", "run_chaos"]

_VARIANTS = {"small": "openai/fault-small", "large": "openai/fault-large"}
_PRICE = {"input_usd": 10.0, "output_usd": 20.0}
_SHORT_S = 10.0
_STUCK_S = 180.0
_REQUEST_BURST_S, _TOKEN_BURST_S, _SLACK_S = 3.0, 10.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done to the run."""

    trials: int = 20_000
    """An even number: half of them for each of two variants."""
    kills: int = 15
    concurrency: int = 100
    requests_per_minute: int = 4500
    tokens_per_minute: int = 170_000
    small_budget_share: float = 0.5
    """Of the expected bill."""
    kill_after_s: tuple[float, float] = (1.0, 18.0)
    """A process lives this long, evenly spread."""
    latency_ms: float = 50.0
    timeout_s: float = 3.0
    p_429: float = 0.10
    p_500: float = 0.03
    p_reset: float = 0.01
    p_hang: float = 0.01
    p_malformed: float = 0.01
    seed: int = 0


@dataclass(slots=True)
class Report:
    """What came out: facts to print, and promises that were broken."""

    facts: dict[str, object] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def check(self, what: str, found: float, most: float) -> None:
        """Note a figure and its bound."""
        self.facts[what] = f"{found:,.6g} (at most {most:,.6g})"
        if found > most:
            self.broken.append(f"{what}: {found:,.6g}, more than {most:,.6g}")


def answer_of(index: int) -> str:
    """Return the right answer to item number `index`; lengths differ, so that tokens do."""
    return f"answer {index} " + "x" * (index * 7919 % 60)


def _write_job(folder: Path, plan: Plan, address: str) -> float:
    """Write the data and the experiment; return the expected bill in USD."""
    expected_usd = 0.0
    with (folder / "items.jsonl").open("wb") as file:
        for index in range(plan.trials // 2):
            padding = "y" * (index * 104_729 % 120)
            question = f"Question {index} {padding}\nANSWER={answer_of(index)}"
            line = {"id": f"q{index}", "question": question, "expected": answer_of(index)}
            file.write(orjson.dumps(line) + b"\n")
            tokens_in, tokens_out = -(-len(question) // 4), -(-len(answer_of(index)) // 4)
            expected_usd += 2 * (tokens_in * _PRICE["input_usd"] + tokens_out * _PRICE["output_usd"]) / 1e6
    spec: dict[str, Any] = {
        "name": "chaos",
        "dataset": {"path": "items.jsonl", "inputs": ["question"], "expected": "expected"},
        "prompts": {"ask": "{{ question }}"},
        "models": {
            name: {"model": model, "api_base": address, "params": {"max_tokens": 32}}
            for name, model in _VARIANTS.items()
        },
        "evaluators": ["exact_match"],
        "limits": {
            "concurrency": plan.concurrency,
            "requests_per_minute": plan.requests_per_minute,
            "tokens_per_minute": plan.tokens_per_minute,
            "timeout_s": plan.timeout_s,
        },
        "gateway": {"cache": False, "prices": dict.fromkeys(_VARIANTS.values(), _PRICE)},
        "mlflow": False,
    }
    for name, usd in (("small", plan.small_budget_share * expected_usd), ("large", 3 * expected_usd)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**spec, "budget": {"usd": usd}}))
    return expected_usd


class _Driver:
    """Starts the command line, kills it, and resumes it until the run is complete."""

    def __init__(self, folder: Path, plan: Plan, server: Path) -> None:
        self.folder = folder
        self.plan = plan
        self.server_log = server
        self.store = folder / "store"
        self.rng = random.Random(plan.seed)
        self.kills = 0
        self.sessions = 0
        self.budget = "small"
        self.stopped_at_usd: float | None = None
        self.log = folder / "bakeoff.log"

    def drive(self) -> None:
        while True:
            code = self._session()
            if code == 0:
                return
            if code == -signal.SIGKILL:
                continue
            if code == 4 and self.budget == "small" and "budget of" in self.said():
                self.stopped_at_usd = bill_usd(read_log(self.server_log))
                self.budget = "large"
                continue
            raise RuntimeError(f"bakeoff ended with code {code}:\n{self.said()[-3000:]}")

    def said(self) -> str:
        """Return what the command line printed."""
        return self.log.read_text(errors="replace")

    def _session(self) -> int:
        """Run or resume, kill after a random time while kills are left; return the exit code."""
        spec = str(self.folder / f"{self.budget}.yaml")
        begun = any(self.store.glob("runs/*/manifest.json"))
        what = ["resume", "latest", "--file", spec] if begun else ["run", spec]
        self.sessions += 1
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bakeoff", *what, "--store", str(self.store), "--quiet", "--no-report"],
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "OPENAI_API_KEY": "not-a-key",
                    "BAKEOFF_STATE_DIR": str(self.folder / "state"),
                    "NO_COLOR": "1",
                },
            )
        try:
            if self.kills < self.plan.kills:
                # The moment is counted from the first line that this process journals.
                if not self._wait_for_line(process):
                    return process.wait()
                try:
                    return process.wait(self.rng.uniform(*self.plan.kill_after_s))
                except subprocess.TimeoutExpired:
                    process.kill()
                    self.kills += 1
            return process.wait(3600)
        finally:
            process.kill()

    def _wait_for_line(self, process: subprocess.Popen[bytes]) -> bool:
        before, started = self._journal_size(), time.monotonic()
        while self._journal_size() <= before:
            if process.poll() is not None:
                return False
            if time.monotonic() - started > _STUCK_S:
                raise RuntimeError("the run writes nothing")
            time.sleep(0.02)
        return True

    def _journal_size(self) -> int:
        return sum(path.stat().st_size for path in self.store.glob("runs/*/journal.jsonl"))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the requests that the server saw, once it has written all of them."""
    time.sleep(1.0)
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def bill_usd(requests: list[dict[str, Any]]) -> float:
    """Return what the provider would charge: all that it answered, heard or not."""
    billed = [line for line in requests if line["status"] in (200, 499)]
    return sum(line["in"] * _PRICE["input_usd"] + line["out"] * _PRICE["output_usd"] for line in billed) / 1e6


def _judge(plan: Plan, driver: _Driver, requests: list[dict[str, Any]], expected_usd: float) -> Report:
    from bakeoff.experiments import open_store

    report = Report()
    facts = report.facts
    store = open_store(driver.store)
    manifest = store.manifest(store.resolve("latest"))
    rows = store.trials(manifest.run_id).to_pylist()
    status = Counter(line["fault"] or str(line["status"]) for line in requests)
    facts["requests the server saw"] = f"{len(requests):,}"
    facts["of which"] = ", ".join(f"{name} {count:,}" for name, count in status.most_common())
    facts["kills, sessions"] = f"{driver.kills}, {driver.sessions}"
    _check_trials(plan, report, rows, requests, driver.kills)
    facts["seconds running"] = f"{manifest.seconds:.0f}"
    if manifest.status != "complete":
        report.broken.append(f"the run is {manifest.status}")
    if driver.kills < plan.kills:
        report.broken.append(f"the run ended after {driver.kills} of {plan.kills} kills")
    arrivals = [(line["t"], 1.0) for line in requests]
    tokens = [
        (line["t"], float(line["in"] + (line["out"] if line["status"] in (200, 499) else 0))) for line in requests
    ]
    rpm, tpm = plan.requests_per_minute, plan.tokens_per_minute
    report.check("requests in the fullest 60 s", fullest_window(arrivals), rpm)
    report.check("tokens in the fullest 60 s", fullest_window(tokens), tpm)
    short = f"in the fullest {_SHORT_S:g} s"
    report.check(
        f"requests {short}",
        fullest_window(arrivals, window_s=_SHORT_S),
        rpm / 60 * (_SHORT_S + _REQUEST_BURST_S + _SLACK_S) + 1,
    )
    if driver.stopped_at_usd is None:
        report.broken.append("the run never stopped at the small budget")
    else:
        small = plan.small_budget_share * expected_usd
        report.check("bill in USD when the run stopped at its small budget", driver.stopped_at_usd, small)
    report.check("bill in USD at the end", bill_usd(requests), 3 * expected_usd)
    facts["known to the run in USD"] = f"{manifest.cost_usd:.6f}"
    facts["notes of the run"] = "; ".join(manifest.notes) or "none"
    return report


def _check_trials(
    plan: Plan, report: Report, rows: list[dict[str, Any]], requests: list[dict[str, Any]], kills: int
) -> None:
    by_model = {model.removeprefix("openai/"): name for name, model in _VARIANTS.items()}
    answered = Counter(
        (by_model[line["model"]], line["said"]) for line in requests if line["status"] == 200 and not line["fault"]
    )
    keys = Counter((row["variant"], row["item"]) for row in rows)
    missing = plan.trials - len(keys)
    failed = [row for row in rows if not row["ok"]]
    report.facts["trials"] = f"{len(rows):,}: {len(rows) - len(failed):,} answered, {len(failed):,} failed"
    if failed:
        report.facts["reasons of failures"] = ", ".join(
            f"{kind} {count}" for kind, count in Counter(row["error_kind"] for row in failed).most_common()
        )
    report.check("trials missing", missing, 0)
    report.check("trials recorded twice", sum(count - 1 for count in keys.values()), 0)
    report.check("failures without a reason", sum(not (row["error_kind"] and row["error"]) for row in failed), 0)
    report.check("share of trials failed", len(failed) / max(len(rows), 1), 0.005)
    ok = [row for row in rows if row["ok"]]
    report.check("wrong answers", sum(row["output"].strip() != answer_of(row["item"]).strip() for row in ok), 0)
    unheard = sum(not answered[row["variant"], answer_of(row["item"]).strip()[:40]] for row in ok)
    report.check("answers that the server never gave", unheard, 0)
    again = sum(count - 1 for count in answered.values())
    report.check("answers given again", again, plan.concurrency * kills)
    lost = sum(answered.values()) - again - len(ok)
    report.check("answers to trials that ended as failed", lost, len(failed))


def run_chaos(folder: Path, plan: Plan) -> Report:
    """Do it in a folder, and judge it."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.jsonl"
    options = Options(
        latency_ms=plan.latency_ms,
        latency="lognormal",
        p_429=plan.p_429,
        p_500=plan.p_500,
        p_reset=plan.p_reset,
        p_hang=plan.p_hang,
        p_malformed=plan.p_malformed,
        seed=plan.seed,
        log=str(log),
    )
    with serving(options) as address:
        expected_usd = _write_job(folder, plan, address)
        driver = _Driver(folder, plan, log)
        driver.drive()
    return _judge(plan, driver, read_log(log), expected_usd)


def as_markdown(plan: Plan, report: Report, seconds: float) -> str:
    """Return the report as a page."""
    lines = [
        "# Chaos: what a killed run keeps",
        "",
        "The last output of `python benchmarks/chaos.py --report docs/chaos.md`. What is done and what is checked",
        "stands at the top of that file; `tests/experiments/run/test_chaos.py` does the same in half a minute.",
        "",
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{seconds:.0f} s. Plan: " + ", ".join(f"{one.name} {getattr(plan, one.name)}" for one in fields(plan)) + ".",
        "",
        "| what | found |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in report.facts.items()),
        "",
        "**Every promise held.**" if not report.broken else "**Broken:** " + "; ".join(report.broken),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in fields(Plan):
        if one.name != "kill_after_s":
            kind = int if isinstance(one.default, int) else float
            parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default)
    parser.add_argument("--report", type=Path, help="write the result to this page")
    parser.add_argument("--folder", type=Path, help="keep everything here; a temporary folder when omitted")
    arguments = vars(parser.parse_args())
    page, folder = arguments.pop("report"), arguments.pop("folder")
    plan = Plan(**arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        report = run_chaos(folder or Path(temporary), plan)
    text = as_markdown(plan, report, time.monotonic() - started)
    if page is not None:
        page.write_text(text)
    print(text)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
