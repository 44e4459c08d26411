"""Run the same evaluation with Bakeoff, with bare loops and with other tools, and print one table with ratios.

    python benchmarks/speed.py --latency-ms 0 --latency-ms 50
    python benchmarks/speed.py --only bakeoff --only "bare aiohttp" --repeat 5
    python benchmarks/speed.py --inspect VENV --deepeval VENV --promptfoo FOLDER   # where these are installed

The job: items x 2 prompts, one model, exact match, 100 calls at once, against `fault_server.py` in a process
of its own. Everything is measured from outside, around the whole process: from its start to its last output,
for Bakeoff that is from the shell prompt to the printed comparison. The number of calls is read from the
server. Slow tools get fewer items (column `calls`); their figures per call flatter them by nothing but the
start, which is shared by fewer calls.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from fault_server import Options, serving

__all__ = ["Contender", "Result", "measure"]

_PEERS = Path(__file__).parent / "peers"
_CONCURRENCY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to do the job."""

    name: str
    python: str = sys.executable
    script: str = ""
    items: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One process, seen from outside."""

    calls: int
    wall_s: float
    cpu_s: float
    memory_mb: float


def write_items(path: Path, count: int) -> None:
    """Write items; the right answer to a fifth of them is not what the model says."""
    with path.open("w") as file:
        for index in range(count):
            answer = f"answer {index % 97}"
            row = {
                "id": f"i{index}",
                "question": f"Question {index}: please answer. ANSWER={answer}",
                "expected": answer if index % 5 else "something else",
            }
            file.write(json.dumps(row) + "\n")


def write_bakeoff(folder: Path, address: str) -> Path:
    """Write the experiment file."""
    spec = {
        "name": "speed",
        "dataset": {"path": "items.jsonl", "inputs": ["question"], "expected": "expected"},
        "prompts": {"plain": "{{ question }}", "steps": "Think first. {{ question }}"},
        "models": {"m": {"model": "openai/fault-small", "api_base": address, "params": {"max_tokens": 64}}},
        "evaluators": ["exact_match"],
        "limits": {"concurrency": _CONCURRENCY},
        "gateway": {"cache": False, "prices": {"openai/fault-small": {"input_usd": 1, "output_usd": 2}}},
        "mlflow": False,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def write_promptfoo(folder: Path, address: str) -> Path:
    """Write promptfoo's configuration and tests."""
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    tests = [
        {"vars": {"question": row["question"]}, "assert": [{"type": "equals", "value": row["expected"]}]}
        for row in rows
    ]
    config = {
        "prompts": ["{{question}}", "Think first. {{question}}"],
        "providers": [
            {
                "id": "openai:chat:fault-small",
                "config": {"apiBaseUrl": address, "apiKey": "not-a-key", "max_tokens": 64},
            }
        ],
        "tests": tests,
    }
    path = folder / "promptfooconfig.json"
    path.write_text(json.dumps(config))
    return path


def command_of(contender: Contender, folder: Path, address: str) -> list[str]:
    """Return the command line."""
    if contender.name.startswith("bakeoff"):
        store = folder / "store"
        shutil.rmtree(store, ignore_errors=True)
        spec = str(write_bakeoff(folder, address))
        return [contender.python, "-m", "bakeoff", "run", spec, "--store", str(store), "--no-report"]
    if contender.name == "promptfoo":
        config = str(write_promptfoo(folder, address))
        return [
            contender.script, "eval", "-c", config, "-j", str(_CONCURRENCY), "--no-cache", "--no-table",
            "--no-progress-bar", "--no-share",
        ]  # fmt: skip
    return [contender.python, str(_PEERS / contender.script), str(folder / "items.jsonl"), address, str(_CONCURRENCY)]


def measure(contender: Contender, address: str) -> Result:
    """Run it once.

    Raises:
        RuntimeError: It failed, or made another number of calls than the job has.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_items(folder / "items.jsonl", contender.items)
        command = command_of(contender, folder, address)
        env = {name: value for name, value in os.environ.items() if name.lower() not in ("http_proxy", "https_proxy")}
        env |= {
            "OPENAI_API_KEY": "not-a-key",
            "BAKEOFF_STATE_DIR": name,
            "PROMPTFOO_CONFIG_DIR": name,
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_SELF_HOSTED": "1",
        }
        root = address.removesuffix("/v1")
        _get(f"{root}/__reset")
        output = folder / "output.txt"
        with output.open("wb") as file:
            started = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=file, stderr=file)
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        calls = json.loads(_get(f"{root}/__stats"))["answered"]
        if not 2 * contender.items <= calls <= 2 * contender.items + 2:  # MLflow makes a trial call for each prompt
            said = output.read_text(errors="replace")[-2000:]
            raise RuntimeError(
                f"{contender.name}: {calls} answers for {2 * contender.items} calls, code {process.returncode}\n{said}"
            )
    return Result(calls=calls, wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, memory_mb=usage.ru_maxrss / 1024)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read()


def contenders(arguments: argparse.Namespace) -> list[Contender]:
    """Return who can run here."""
    found = [
        Contender(name="bakeoff run"),
        Contender(name="bakeoff run, 40,000 calls", items=20_000),
        Contender(name="bare aiohttp", script="bare_aiohttp.py"),
        Contender(name="bare aiohttp, 40,000 calls", script="bare_aiohttp.py", items=20_000),
        Contender(name="bare litellm.acompletion", script="bare_litellm.py", items=500),
    ]
    if arguments.deepeval:
        python = f"{arguments.deepeval}/bin/python"
        found.append(Contender(name="DeepEval", python=python, script="deepeval_run.py", items=150))
    if arguments.inspect:
        python = f"{arguments.inspect}/bin/python"
        found.append(Contender(name="Inspect AI", python=python, script="inspect_ai_run.py", items=250))
    if arguments.promptfoo:
        script = f"{arguments.promptfoo}/node_modules/.bin/promptfoo"
        found.append(Contender(name="promptfoo", script=script, items=250))
    found.append(Contender(name="MLflow genai.evaluate", script="mlflow_run.py", items=100))
    return found


def table(latency_ms: float, results: dict[str, list[Result]]) -> str:
    """Return the figures of the fastest of the repetitions as Markdown: the least disturbed by other work."""
    best = {name: min(runs, key=lambda one: one.wall_s) for name, runs in results.items()}
    cpu = {name: statistics.median(one.cpu_s for one in runs) for name, runs in results.items()}
    ours = next((one for name, one in best.items() if name == "bakeoff run"), None)
    lines = [
        f"| {latency_ms:g} ms | calls | wall s | calls/s | CPU ms per call | memory MB | wall per call / Bakeoff's |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in best.items():
        ratio = one.wall_s / one.calls / (ours.wall_s / ours.calls) if ours is not None else float("nan")
        lines.append(
            f"| {name} | {one.calls:,} | {one.wall_s:.2f} | {one.calls / one.wall_s:,.0f} "
            f"| {1000 * cpu[name] / one.calls:.2f} | {one.memory_mb:.0f} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, action="append", help="of the server; may be repeated")
    parser.add_argument("--repeat", type=int, default=3, help="times each; the fastest wall, the median CPU")
    parser.add_argument("--only", action="append", help="name of a contender; may be repeated")
    parser.add_argument("--inspect", help="virtual environment with inspect-ai and openai")
    parser.add_argument("--deepeval", help="virtual environment with deepeval and aiohttp")
    parser.add_argument("--promptfoo", help="folder with node_modules/promptfoo")
    arguments = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} cores", flush=True)
    for latency_ms in arguments.latency_ms or [0.0, 50.0]:
        results: dict[str, list[Result]] = {}
        with serving(Options(latency_ms=latency_ms)) as address:
            for contender in contenders(arguments):
                if arguments.only and contender.name not in arguments.only:
                    continue
                for _ in range(arguments.repeat):
                    try:
                        result = measure(contender, address)
                        results.setdefault(contender.name, []).append(result)
                        print(f"{contender.name}, {latency_ms:g} ms: {result}", file=sys.stderr, flush=True)
                    except (RuntimeError, OSError) as error:
                        print(f"{contender.name}: {error}", file=sys.stderr)
                        break
        print("\n" + table(latency_ms, {name: runs for name, runs in results.items() if runs}), flush=True)


if __name__ == "__main__":
    main()
