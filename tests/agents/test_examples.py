"""The worked examples: they run, they find what the simulator was told and nothing else, and on real endpoints too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from aiohttp import web

import bakeoff
from bakeoff.experiments import LocalStore, experiment_schema, load_experiment
from bakeoff.gateway import Gateway, ModelRequest, ModelResponse
from bakeoff.gateway._sim._params import sim_params
from bakeoff.gateway._sim._skill import correct_probability
from bakeoff.stats import FactorialResult, factorial_effects

EXAMPLES = Path(bakeoff.__file__).parent / "cli" / "examples"
NAMES = ["team", "docs", "code", "desk"]


class Watch:
    """The gateway, with a look at how likely each last answer was to be right: the truth behind a run."""

    def __init__(self) -> None:
        self.gateway = Gateway()
        self.truth: dict[tuple[str, str], float] = {}
        self.opened = False

    async def complete(self, request: ModelRequest) -> ModelResponse:
        if not self.opened:
            self.opened = True
            await self.gateway.__aenter__()
        context = request.sim_context
        if "expected" in context and "/" not in str(context["item_id"]):
            prompt = "\n".join(str(message["content"]) for message in request.messages)
            knobs = sim_params(request.model, request.params)
            temperature = float(request.params.get("temperature", 1.0))
            self.truth[request.variant, str(context["item_id"])] = correct_probability(
                request.model, prompt, context, knobs, temperature=temperature
            )
        return await self.gateway.complete(request)


def example(name: str, folder: Path) -> dict[str, Any]:
    shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    spec = yaml.safe_load((folder / "experiment.yaml").read_text())
    return {**spec, "mlflow": False}


def effects(spec: Mapping[str, Any], store: LocalStore, metric: str) -> tuple[FactorialResult, Watch, dict[str, float]]:
    """Run an experiment; give its factorial analysis, and the true mean of each cell."""
    watch = Watch()
    result = bakeoff.run(spec, store=store.paths.root, client=watch)
    frame = result.to_frame()
    levels = {variant.name: variant.levels for variant in result.manifest.variants}
    factors = {name: [str(level) for level in values] for name, values in spec["factors"].items()}
    wide = frame.pivot_table(index="item_id", columns="variant", values=metric, aggfunc="mean")
    cells = {tuple(str(levels[v][name]) for name in factors): wide[v].to_numpy(dtype=float) for v in wide.columns}
    true = {
        "|".join(str(levels[v][name]) for name in factors): float(
            np.mean([watch.truth.get((v, item), np.nan) for item in wide.index])
        )
        for v in wide.columns
    }
    assert frame["item_id"].nunique() * len(levels) * spec.get("repeats", 1) == len(frame)
    return factorial_effects(cells, factors=factors, max_order=2), watch, true


def true_effect(true: Mapping[str, float], position: int, high: str, low: str) -> float:
    at = {level: [mean for key, mean in true.items() if key.split("|")[position] == level] for level in (high, low)}
    return float(np.mean(at[high]) - np.mean(at[low]))


def check_told(found: FactorialResult, true: Mapping[str, float], factor: str, position: int, levels: Any) -> None:
    """The effect is found, and its interval holds the truth."""
    effect = found.get(factor)
    truth = true_effect(true, position, str(levels[1]), str(levels[0]))
    (contrast,) = effect.contrasts
    assert effect.p_adjusted < 0.05, (factor, truth, effect.p_adjusted)
    assert contrast.low <= truth <= contrast.high, (factor, truth, contrast)


def test_the_team_finds_model_and_pattern_and_not_the_tone(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = example("team", tmp_path)
    # The six seats in the middle say the same in every variant, and the check is about the decision: two are enough.
    agent = spec["targets"]["team"]["agent"]
    for seat in ("value", "design", "work", "risk", "look"):
        del agent["steps"][seat]
    agent["flow"][1]["parallel"] = ["need"]
    agent["steps"]["plan"]["prompt"] = "When could it start?"
    agent["steps"]["decide"]["prompt"] = (
        "{{ request }} {{ evidence }} {{ need }} {{ plan }} Decide: answer with exactly one of build, defer, reject."
    )
    found, _, true = effects(spec, store, "right_decision")
    check_told(found, true, "agent.steps.decide.model", 0, ["small", "large"])
    check_told(found, true, "agent.steps.decide.pattern", 1, ["zero_shot", "chain_of_thought"])
    for effect in found.effects:
        if "agent.world.tone" in effect.factors:
            assert effect.p_adjusted > 0.05, effect.name


def test_the_documentation_agent_finds_passages_and_model_and_not_the_manner(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = example("docs", tmp_path)
    spec["factors"]["agent.steps.solve.system"] = ["Be friendly.", "Be formal."]
    found, _, true = effects(spec, store, "has_answer")
    check_told(found, true, "agent.retrieval.top_k", 0, [1, 4])
    check_told(found, true, "agent.steps.solve.model", 1, ["small", "large"])
    for effect in found.effects:
        if "agent.steps.solve.system" in effect.factors:
            assert effect.p_adjusted > 0.05, effect.name


def test_the_coding_agent_finds_model_and_repairs(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the sandbox replaced by a look at the solution, which is the same verdict at a hundredth of the time."""
    monkeypatch.chdir(tmp_path)
    spec = example("code", tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "tasks.jsonl").read_text().splitlines()]
    rows = [
        {**row, "id": f"{row['id']}-{copy}", "task": f"{row['task']} ({copy})"} for row in rows for copy in range(4)
    ]
    spec["dataset"] = {key: value for key, value in spec["dataset"].items() if key != "path"} | {"rows": rows}
    (tmp_path / "mesh.py").write_text(
        "import json\n"
        f"KNOWN = {{row['task']: row['solution'] for row in json.loads({json.dumps(json.dumps(rows))})}}\n"
        "def validate(task, generate):\n"
        "    ok = generate.strip() == KNOWN[task]\n"
        "    return {'ok': ok, 'problems': [] if ok else ['AssertionError']}\n"
    )
    spec["targets"]["coder"]["agent"]["steps"]["validate"] = {"python": "mesh.py:validate"}
    spec["evaluators"] = [{"exact_match": {"name": "works"}}]
    spec["limits"] = {"concurrency": 50}
    found, _, true = effects(spec, store, "works")
    for factor in spec["factors"]:
        effect = found.get(factor)
        assert effect.p_adjusted < 0.05
        assert effect.contrasts[0].estimate > 0.05
    # A single attempt is right with the probability that the simulator was told.
    one = {key: mean for key, mean in true.items() if key.endswith("|1")}
    for key, mean in one.items():
        cell = found.means[tuple(key.split("|"))]
        assert abs(cell - mean) < 3 * np.sqrt(mean * (1 - mean) / len(rows))


def test_the_incident_desk_finds_the_way_and_the_model(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = example("desk", tmp_path)
    found, _, true = effects(spec, store, "right")
    modes = found.get("agent.world.mode")
    assert modes.p_adjusted < 0.05
    for contrast in modes.contrasts:
        level = contrast.label.split(": ")[1].split(" - ")[0]
        assert contrast.low <= true_effect(true, 0, level, "rag") <= contrast.high, contrast
    check_told(found, true, "agent.steps.reply.model", 1, ["small", "large"])
    # Both sources together are the best way, and half of them each as good as the other: so it was told.
    means = {mode: np.mean([found.means[mode, model] for model in ("small", "large")]) for mode in
             ("rag", "agent", "both", "auto")}  # fmt: skip
    assert max(means, key=lambda mode: means[mode]) == "both"


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_valid_as_it_is_shipped(name: str, tmp_path: Path) -> None:
    example(name, tmp_path)
    experiment = load_experiment(tmp_path / "experiment.yaml")
    assert experiment.is_simulated
    assert len(experiment.spec.factors) >= 2
    raw = yaml.safe_load((tmp_path / "experiment.yaml").read_text())
    jsonschema.Draft202012Validator(experiment_schema()).validate(raw)
    raw["targets"][next(iter(raw["targets"]))]["agent"]["memry"] = "none"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(experiment_schema()).validate(raw)
    assert all(variant.agent is not None for variant in experiment.variants.values())


class Endpoint:
    """An OpenAI-compatible server with a small script: it calls the first tool it is offered, then answers."""

    def __init__(self, solutions: Mapping[str, str]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.solutions = solutions

    def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        said = str(body["messages"][-1]["content"])
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            name = body["tools"][0]["function"]["name"]
            call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": '{"service": "mail"}'}}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        code = next((text for task, text in self.solutions.items() if said.startswith(task)), None)
        label = next((word for word in ("build", "runbook") if f"of {word}" in said or f"of: {word}" in said), None)
        return {"role": "assistant", "content": f"```python\n{code}\n```" if code else label or "It is so."}

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        message = self.answer(body)
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
        }
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        return web.json_response(
            {"id": "x", "object": "chat.completion", "created": 0, "model": "gpt-4o-mini", "choices": [choice],
             "usage": usage}
        )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_every_example_runs_unchanged_on_an_endpoint(
    name: str, tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "code" and shutil.which("bwrap") is None:
        pytest.skip("the coding agent validates in the sandbox, which needs bubblewrap")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCAL_KEY", "sk-test")
    spec = example(name, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "tasks.jsonl").read_text().splitlines()] if name == "code" else []
    endpoint = Endpoint({row["task"]: row["solution"] for row in rows})
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    # Nothing but the two models changes.
    model = {"model": "openai/gpt-4o-mini", "api_base": address, "api_key_env": "LOCAL_KEY"}
    spec["models"] = {"small": model, "large": {**model, "temperature": 0.1}}
    spec["dataset"]["limit"] = 2
    try:
        result = await bakeoff.run_async(spec, store=store.paths.root)
    finally:
        await runner.cleanup()
    assert result.manifest.status == "complete"
    frame = result.to_frame()
    assert frame["ok"].all()
    assert not result.manifest.is_simulated
    assert not any("sim" in body or "sim_context" in body for body in endpoint.bodies)
    if name == "code":
        assert frame["works"].all()
    if name == "desk":
        told = [m for body in endpoint.bodies for m in body["messages"] if m["role"] == "tool"]
        assert told
        assert json.loads(told[0]["content"])["latency_ms"] == 90
