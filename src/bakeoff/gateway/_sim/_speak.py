"""What a simulated model answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.gateway._sim._judge import judgement
from bakeoff.gateway._sim._luck import uniform
from bakeoff.gateway._sim._params import tier_of
from bakeoff.gateway._sim._schema import instance_of, verdict_name
from bakeoff.gateway._sim._skill import correct_probability, is_correct, prompt_features, render, wrong_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway._sim._params import SimParams

__all__ = ["Speech", "message_text", "speak"]

_WRAP_CHANCE = 0.3
_STEPS_TEXT = "First I look at what is asked, then I work it out one step at a time.\nAnswer: "


@dataclass(frozen=True, slots=True)
class Speech:
    """An answer in words, or tool calls."""

    text: str
    tool_calls: list[dict[str, Any]] = field(default_factory=list)


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whatever its form."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def speak(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    *,
    context: Mapping[str, Any],
    repeat: int,
    knobs: SimParams,
) -> Speech:
    """Answer, as a function of the arguments alone."""
    scripted = _scripted_calls(messages, knobs)
    if scripted is not None:
        return scripted
    behaviour = tier_of(model).behaviour
    if behaviour == "echo":
        answer = message_text(_last_user(messages))
    elif behaviour == "canned":
        answer = _canned(context, repeat, knobs)
    elif behaviour == "rules":
        answer = _by_rule(message_text(_last_user(messages)), knobs)
    else:
        return Speech(_skilled(model, messages, params, context, repeat, knobs))
    return Speech(_wrap(answer, knobs))


def _wrap(answer: str, knobs: SimParams) -> str:
    return answer if knobs.template is None else knobs.template.replace("{answer}", answer)


def _last_user(messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for message in reversed(messages):
        if message.get("role") == "user":
            return message
    return messages[-1] if messages else {}


def _scripted_calls(messages: Sequence[Mapping[str, Any]], knobs: SimParams) -> Speech | None:
    turn = sum(1 for message in messages if message.get("role") == "assistant" and message.get("tool_calls"))
    if turn >= len(knobs.tool_calls):
        return None
    calls = [
        {
            "id": f"call_{turn}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()},
        }
        for index, call in enumerate(knobs.tool_calls[turn])
    ]
    return Speech("", calls)


def _canned(context: Mapping[str, Any], repeat: int, knobs: SimParams) -> str:
    answer = knobs.answers.get(str(context.get("item_id")), knobs.answers.get("*", knobs.default))
    if isinstance(answer, str):
        return answer
    return answer[repeat % len(answer)] if answer else knobs.default


def _by_rule(text: str, knobs: SimParams) -> str:
    for rule in knobs.rules:
        match = re.search(rule.match, text, re.IGNORECASE if rule.ignore_case else 0)
        if match is not None:
            return match.expand(rule.answer)
    return knobs.default


def _skilled(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    context: Mapping[str, Any],
    repeat: int,
    knobs: SimParams,
) -> str:
    prompt = "\n".join(message_text(message) for message in messages)
    raw_temperature = params.get("temperature")
    temperature = float(raw_temperature) if isinstance(raw_temperature, (int, float)) else 1.0
    item = context.get("item_id", prompt)
    # At temperature 0 every repeat is the same answer.
    call = (model, item, prompt, repeat if temperature > 0 else 0)
    schema = _wanted_json(params)
    if schema is None and tier_of(model).behaviour == "judge":
        schema = _schema_in(prompt)
    expected = context.get("expected")
    if isinstance(expected, (list, tuple)) and expected and all(isinstance(one, str) for one in expected):
        expected = expected[0]  # several right answers: it knows the first
    if expected is None:
        if schema is None:
            return _wrap(_no_expectation(messages), knobs)
        skill = correct_probability(model, prompt, {"difficulty": 0.5}, knobs, temperature=temperature)
        seen = judgement(prompt, schema, skill=skill, about=call, seed=knobs.seed)
        return instance_of(schema, about=(knobs.seed, call), fixed=seen)
    choices = list(context.get("choices") or ())
    probability = correct_probability(model, prompt, context, knobs, temperature=temperature)
    right = is_correct(probability, item, call, knobs)
    answer = render(expected) if right else wrong_answer(expected, choices, call, knobs)
    if schema is not None:
        return _as_json(schema, expected if right else answer, about=(knobs.seed, call))
    return _in_form(answer, prompt, call, knobs)


def _in_form(answer: str, prompt: str, call: object, knobs: SimParams) -> str:
    if knobs.template is not None:
        return _wrap(answer, knobs)
    features = prompt_features(prompt)
    if features.steps:
        return _STEPS_TEXT + answer
    if not features.constrained and uniform(knobs.seed, "form", call) < _WRAP_CHANCE:
        return f"I think the answer is {answer}."
    return answer


def _no_expectation(messages: Sequence[Mapping[str, Any]]) -> str:
    words = message_text(_last_user(messages)).split()
    return f"In short: {' '.join(words[:12])}" if words else "I am not sure."


def _wanted_json(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = params.get("response_format")
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_schema":
        holder = form.get("json_schema")
        schema = holder.get("schema") if isinstance(holder, dict) else None
        return schema if isinstance(schema, dict) else {}
    return {} if form.get("type") == "json_object" else None


def _schema_in(prompt: str) -> Mapping[str, Any] | None:
    """Return the JSON Schema that a judge's prompt asks for in words."""
    _, found, rest = prompt.partition("JSON Schema:\n")
    try:
        schema = orjson.loads(rest.partition("\n")[0]) if found else None
    except orjson.JSONDecodeError:
        return None
    return schema if isinstance(schema, dict) else None


def _as_json(schema: Mapping[str, Any], answer: object, *, about: object) -> str:
    """Write the answer into the JSON that was asked for: by name where it is an object, else as the verdict."""
    if isinstance(answer, str):
        try:
            parsed = orjson.loads(answer)
        except orjson.JSONDecodeError:
            parsed = answer
        answer = parsed if isinstance(parsed, (dict, list)) else answer
    if isinstance(answer, dict):
        return instance_of(schema, about=about, fixed=answer) if schema else render(answer)
    return instance_of(schema, about=about, fixed={verdict_name(schema): answer})
