"""How many calls an agent will make for an item, told before anything is called."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bakeoff.agents.run._flow import Branching, Handoff, Loop, Parallel
from bakeoff.errors import TargetError
from bakeoff.gateway import ModelRequest, estimate_text_tokens, estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.agents.config._agent import Agent, Step
    from bakeoff.agents.run._flow import Node
    from bakeoff.datasets import Item
    from bakeoff.targets import ModelSpec

__all__ = ["forecast_agent", "forecast_embeddings"]

_TOOL_ROUNDS = 1.5
"""Rounds of tool calls that a step with tools is assumed to make."""
_ESCALATED = 0.5
"""Share of items that a tier is assumed to hand on."""
_STEP_TOKENS = 100
"""Tokens that the value of an earlier step is assumed to add to a prompt that uses it."""

_MEM0_EMBEDS = 2.0
"""Texts that a turn with `mem0` is assumed to embed: its question, and a fact that it keeps."""
_EMBEDS = "embeds "
"""Begins the key of an embedding model, which may have the name of a model that answers."""

Calls = dict[str, tuple["ModelSpec", float, float]]


def forecast_agent(agent: Agent, item: Item) -> list[tuple[ModelSpec, float, float]]:
    """Return (model, calls, input tokens of them all) that one item is expected to take.

    Of several ways in a branch that a step decides, the one with most calls counts, and a loop counts in full: rather
    too much than too little. Calls by evaluators in guards and checks are not counted.

    Args:
        agent: The agent.
        item: An item, for the length of its inputs.

    Examples:
        >>> from bakeoff.agents import resolve_agent
        >>> from bakeoff.datasets import Item
        >>> agent = resolve_agent({"model": "x/m", "pattern": {"name": "self_consistency", "k": 7}}, name="a")
        >>> [(model.model, calls) for model, calls, _ in forecast_agent(agent, Item(id="1", inputs={"q": "?"}))]
        [('x/m', 7.0)]
    """
    turns = _turns(agent, item)
    calls = {key: call for key, call in _nodes(agent, agent.flow, item).items() if not key.startswith(_EMBEDS)}
    for name, helper in agent.helpers.items():
        per_turn = {"rewrite": 1.0, "rerank": 1.0, "user": 1.0, "memory": 1.0}.get(name, 0.0)
        if per_turn:
            key = helper.model_dump_json()
            _, count, tokens = calls.get(key, (helper, 0.0, 0.0))
            calls[key] = (helper, count + per_turn, tokens + per_turn * 2 * _STEP_TOKENS)
    return [(model, count * turns, tokens * turns) for model, count, tokens in calls.values()]


def forecast_embeddings(agent: Agent, item: Item) -> list[tuple[ModelSpec, float, float]]:
    """Return (model, calls, tokens of them all) that embedding the queries and memories of an item is expected to take.

    Embedding the corpus is not in it: that is done once for a run.
    """
    turns = _turns(agent, item)
    calls = [call for key, call in _nodes(agent, agent.flow, item).items() if key.startswith(_EMBEDS)]
    memory = agent.helpers.get("embedding")
    if memory is not None:
        calls.append((memory, _MEM0_EMBEDS, _MEM0_EMBEDS * _STEP_TOKENS))
    return [(model, count * turns, tokens * turns) for model, count, tokens in calls]


def _turns(agent: Agent, item: Item) -> int:
    spec = agent.spec.conversation
    if spec is None:
        return 1
    given = item.inputs.get(spec.turns)
    scripted = len(given) if isinstance(given, (list, tuple)) else 0
    return spec.max_turns if spec.user is not None else max(scripted, 1)


def _nodes(agent: Agent, nodes: Sequence[Node], item: Item) -> Calls:
    total: Calls = {}
    for node in nodes:
        if isinstance(node, Parallel):
            parts = [_nodes(agent, branch, item) for branch in node.branches]
        elif isinstance(node, Branching):
            ways = [_nodes(agent, way, item) for way in _ways(agent, node, item)]
            parts = [max(ways, key=lambda way: sum(count for _, count, _ in way.values()))]
        elif isinstance(node, Loop):
            parts = [_nodes(agent, node.nodes, item)] * node.limit
        elif isinstance(node, Handoff):
            parts = [_nodes(agent, node.nodes, item)]
        else:
            parts = [_step(agent, node, item)]
        for part in parts:
            for key, (model, count, tokens) in part.items():
                _, before, read = total.get(key, (model, 0.0, 0.0))
                total[key] = (model, before + count, read + tokens)
    return total


def _ways(agent: Agent, node: Branching, item: Item) -> list[Sequence[Node]]:
    """Return the way that inputs and `world` decide, or all of them when it takes a step to know."""
    known = {**agent.spec.world, **item.inputs, "inputs": dict(item.inputs)}
    try:
        value = node.on.render(known).strip().casefold()
    except TargetError:
        return [*node.cases.values(), node.default]
    return [next((way for case, way in node.cases.items() if case.casefold() == value), node.default)]


def _step(agent: Agent, step: Step, item: Item) -> Calls:
    embedded = _queries(agent, step, item)
    if step.spec.kind != "model":
        return embedded
    tokens = _prompt_tokens(agent, step, item)
    found: dict[str, list[Any]] = defaultdict(lambda: [None, 0.0])
    rounds = 1 + (_TOOL_ROUNDS if step.tools else 0.0)
    if step.tiers:
        reached = 1.0
        for tier in step.tiers:
            samples = (
                tier.accept.spec.samples if tier.accept is not None and tier.accept.spec.by == "consistency" else 1
            )
            entry = found[tier.model.model_dump_json()]
            entry[0] = tier.model
            entry[1] += reached * tier.pattern.calls(tier.options) * samples
            reached *= _ESCALATED
    else:
        chosen = [model for _, model in step.route] or list(step.routed.values()) or list(step.models[:1])
        for model in chosen:
            entry = found[model.model_dump_json()]
            entry[0] = model
            entry[1] += step.pattern.calls(step.options) / len(chosen)
    asked = {key: (model, count * rounds, count * rounds * tokens) for key, (model, count) in found.items()}
    return {**asked, **embedded}


def _queries(agent: Agent, step: Step, item: Item) -> Calls:
    """Return the queries that a step embeds: its own search, and those of its tools."""
    source = agent.retriever.vectors if agent.retriever is not None else None
    if source is None or source.embedding is None:
        return {}
    called = [step.spec.tool] if step.spec.kind == "tool" else []
    searches = sum(agent.spec.tools[name].retrieve for name in called if name in agent.spec.tools)
    searches += _TOOL_ROUNDS * any(agent.spec.tools[tool.name].retrieve for tool in step.tools)
    searches += bool(step.spec.retrieve)
    if not searches:
        return {}
    tokens = estimate_text_tokens(" ".join(map(str, item.inputs.values())))
    return {_EMBEDS + source.embedding.model_dump_json(): (source.embedding, searches, searches * tokens)}


def _prompt_tokens(agent: Agent, step: Step, item: Item) -> float:
    texts = [str(value) for value in item.inputs.values()]
    used = step.prompt.variables if step.prompt is not None else frozenset[str]()
    if step.prompt is not None:
        texts += [str(message.get("content") or "") for message in step.prompt.messages]
    texts.append(step.spec.system or "")
    total = float(estimate_tokens(ModelRequest(model="", messages=[{"role": "user", "content": "\n".join(texts)}])))
    total += _STEP_TOKENS * len(used & set(agent.steps))
    if agent.retriever is not None and (step.spec.retrieve or "passages" in used):
        passages = agent.retriever.passages[:50]
        shown = "\n".join(one.text for one in passages)
        each = estimate_tokens(ModelRequest(model="", messages=[{"role": "user", "content": shown}])) / len(passages)
        total += each * agent.retriever.spec.top_k
    return total
