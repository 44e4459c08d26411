"""What several sections have in common: models, templates, conditions, patterns, evaluators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.agents.config._problems import Problems
from bakeoff.agents.reasoning._library import find_pattern, pattern_options
from bakeoff.agents.run._text import Template, condition
from bakeoff.evaluators import load_evaluator, places_read
from bakeoff.targets import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bakeoff.agents.config._spec import (
        ModelRef,
        PatternSpec,
    )
    from bakeoff.agents.reasoning._library import Pattern
    from bakeoff.evaluators import Evaluator
    from bakeoff.prompts import Prompt

__all__ = ["Parts"]


class Parts(Problems):
    """Finds what a section names, and remembers the models and templates that are in use."""

    def __init__(
        self,
        name: str,
        prompts: Mapping[str, Prompt],
        models: Mapping[str, ModelSpec],
        base_dir: Path,
        callables: Mapping[str, Callable[..., Any]],
    ) -> None:
        super().__init__(name)
        self.prompts = prompts
        self.models = models
        self.base_dir = base_dir
        self.callables = callables
        self.used_models: dict[str, ModelSpec] = {}
        self.templates: list[tuple[str, Template | Prompt]] = []

    def model(self, reference: ModelRef | None, *parts: str | int) -> ModelSpec | None:
        if reference is None:
            return None
        found: ModelSpec | None = None
        name = reference if isinstance(reference, str) else reference.model
        if name in self.models:
            base = self.models[name]
            given = (
                dict[str, Any]()
                if isinstance(reference, str)
                else reference.model_dump(exclude_unset=True, exclude={"model"})
            )
            found = base.model_copy(update=given) if given else base
        elif name and ("/" in name or not self.models):
            found = ModelSpec(model=name) if isinstance(reference, str) else reference
        else:
            self.add(f"there is no model {name!r}", *parts, fix=f"this file has {', '.join(self.models) or 'none'}")
        if found is not None:
            self.used_models[found.model_dump_json()] = found
        return found

    def template(self, text: str | None, *parts: str | int) -> Template | None:
        if text is None:
            return None
        made = self.attempt(lambda: Template(text, name=self.key(*parts)), *parts)
        if made is not None:
            self.templates.append((self.key(*parts), made))
        return made

    def when(self, expression: str | None, *parts: str | int) -> Template | None:
        if expression is None:
            return None
        made = self.attempt(lambda: condition(expression, name=self.key(*parts)), *parts)
        if made is not None:
            self.templates.append((self.key(*parts), made))
        return made

    def pattern(self, spec: PatternSpec, *parts: str | int) -> tuple[Pattern, dict[str, Any]] | None:
        found = self.attempt(lambda: find_pattern(spec.name), *parts)
        if found is None:
            return None
        options = self.attempt(lambda: pattern_options(found, spec.options), *parts)
        return None if options is None else (found, options)

    def evaluator(self, entry: str | dict[str, Any], *parts: str | int) -> Evaluator | None:
        return self.attempt(lambda: load_evaluator(entry, base_dir=self.base_dir), *parts)

    def validator(self, entry: str | dict[str, Any], *parts: str | int) -> Evaluator | None:
        """Find an evaluator that must do without the right answer: an agent does not know it."""
        found = self.evaluator(entry, *parts)
        if found is not None and any(one.partition(".")[0] == "expected" for one in places_read(found)):
            fix = "use a check that looks at the text alone, or give it an `expected` of its own"
            self.add(f"{found.metric!r} needs the right answer, which the agent does not have", *parts, fix=fix)
        return found

    def embedding(self, reference: ModelRef | None, *parts: str) -> ModelSpec | None:
        before = dict(self.used_models)
        found = self.model(reference, *parts)
        if found is not None and found.model.startswith("sim/"):
            self.used_models = before  # simulated embeddings have no key, no price and no list of names
        if found is not None and (found.headers or found.call_params()):
            fix = "give `model`, `api_base` and `api_key_env` alone"
            self.add("takes no headers or parameters", *parts, fix=fix)
        return found
