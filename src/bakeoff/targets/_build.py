"""From a variant's levels to the thing that runs."""

from __future__ import annotations

import difflib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bakeoff.errors import SpecError
from bakeoff.targets._callable import CallableTarget, import_callable
from bakeoff.targets._command import CommandTarget
from bakeoff.targets._http import HttpTarget
from bakeoff.targets._prompt import PromptTarget
from bakeoff.targets._recorded import RecordedTarget
from bakeoff.targets._spec import MODEL_PARAMS, ModelSpec, TargetSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from bakeoff.gateway import ModelClient
    from bakeoff.prompts import Prompt
    from bakeoff.targets._types import AgentResolver, ResolvedAgent, Target

T = TypeVar("T")

__all__ = ["TargetFactory", "VariantTarget", "check_target", "resolve_variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantTarget:
    """A variant resolved to what it is made of, before anything is opened."""

    name: str
    levels: Mapping[str, Any]
    spec: TargetSpec
    prompt: Prompt | None = None
    model: ModelSpec | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the model call, or keyword arguments of a callable."""
    template_values: Mapping[str, Any] = field(default_factory=dict)
    """Levels of factors that the prompt uses as variables."""
    agent: ResolvedAgent | None = None

    @property
    def models(self) -> Sequence[ModelSpec]:
        """Every model that Bakeoff itself calls for this variant."""
        if self.agent is not None:
            return self.agent.models
        return () if self.model is None else (self.model,)


def resolve_variant(
    name: str,
    levels: Mapping[str, Any],
    *,
    prompts: Mapping[str, Prompt],
    models: Mapping[str, ModelSpec],
    targets: Mapping[str, TargetSpec],
    base_dir: Path | None = None,
    callables: Mapping[str, Callable[..., Any]] | None = None,
    agents: AgentResolver | None = None,
) -> VariantTarget:
    """Find what a variant's levels stand for.

    `prompt`, `model` and `target` name what the file defines; a model may also be a LiteLLM model string. Any other
    level is a model parameter, a variable of the prompt, or a keyword argument of a callable. Levels named `agent.*`
    reach into the section of an agent.

    Args:
        name: Name of the variant.
        levels: Its levels by factor.
        prompts: Prompts of the file.
        models: Models of the file.
        targets: Targets of the file.
        base_dir: Folder of the file, for what an agent reads.
        callables: Functions given from Python, for the tools of an agent.
        agents: Makes agents; without it a target of that kind is refused.

    Raises:
        SpecError: A level names something that is not there, or a factor that nothing uses.
    """
    spec = _target_of(name, levels, prompts=prompts, targets=targets)
    rest = {key: value for key, value in levels.items() if key not in ("prompt", "model", "target")}
    if spec.agent is not None:
        if agents is None:
            raise SpecError(f"variant {name!r}: agents cannot be run here")
        target = str(levels.get("target") or _agent_target(levels, targets) or name)
        agent = agents(
            spec.agent,
            name=target,
            overrides=_agent_levels(name, {key: value for key, value in levels.items() if key != "target"}),
            prompts=prompts,
            models=models,
            base_dir=base_dir,
            callables=callables,
        )
        return VariantTarget(name=name, levels=levels, spec=spec, model=next(iter(agent.models), None), agent=agent)
    if spec.kind != "prompt":
        if spec.kind == "recorded" and rest:
            raise SpecError(f"variant {name!r}: recorded answers cannot be varied by {', '.join(rest)}")
        return VariantTarget(name=name, levels=levels, spec=spec, params={**spec.params, **rest})
    prompt_name = str(levels.get("prompt") or spec.prompt)
    prompt = _named(prompt_name, prompts, what="prompt", variant=name)
    model = _model_of(str(levels.get("model") or spec.model), models, variant=name)
    params = model.call_params() | {
        key: value for key, value in rest.items() if key in MODEL_PARAMS and value is not None
    }
    for key in [key for key, value in rest.items() if key in MODEL_PARAMS and value is None]:
        params.pop(key, None)
    values = {key: value for key, value in rest.items() if key not in MODEL_PARAMS and key in prompt.variables}
    extra = {key: value for key, value in rest.items() if key.startswith("params.")}
    params |= {key.removeprefix("params."): value for key, value in extra.items()}
    unused = [key for key in rest if key not in MODEL_PARAMS and key not in values and key not in extra]
    if unused:
        known = [*MODEL_PARAMS, *prompt.variables, "prompt", "model", "target"]
        near = difflib.get_close_matches(unused[0], known, n=1, cutoff=0.7)
        raise SpecError(
            f"variant {name!r}: nothing uses {', '.join(map(repr, unused))}; a factor is `prompt`, `model`, `target`, "
            f"a model parameter ({', '.join(sorted(MODEL_PARAMS)[:6])}, ...), `params.NAME`, or a prompt's variable"
            + (f"\n    fix: did you mean {near[0]!r}?" if near else "")
        )
    return VariantTarget(
        name=name, levels=levels, spec=spec, prompt=prompt, model=model, params=params, template_values=values
    )


def _agent_levels(name: str, levels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the levels as paths within the `agent` section; the words of prompt experiments mean the same here."""
    found: dict[str, Any] = {}
    for key, value in levels.items():
        if key.startswith("agent."):
            found[key.removeprefix("agent.")] = value
        elif key in ("model", "prompt", "pattern"):
            found[key] = value
        elif key in MODEL_PARAMS or key.startswith("params."):
            found[f"params.{key.removeprefix('params.')}"] = value
        elif key != "agent":
            raise SpecError(
                f"variant {name!r}: nothing in the agent uses {key!r}; a factor is a dotted path such as "
                "`agent.steps.NAME.model` or `agent.memory.policy`, `model`, `pattern`, or a model parameter"
            )
    return found


def _agent_target(levels: Mapping[str, Any], targets: Mapping[str, TargetSpec]) -> str | None:
    """Return the only agent of the file, where levels reach into an agent and name none."""
    if not any(key.startswith("agent.") for key in levels):
        return None
    agents = [key for key, target in targets.items() if target.agent is not None]
    return agents[0] if len(agents) == 1 else None


def _target_of(
    name: str, levels: Mapping[str, Any], *, prompts: Mapping[str, Prompt], targets: Mapping[str, TargetSpec]
) -> TargetSpec:
    if levels.get("target") is not None:
        return _named(str(levels["target"]), targets, what="target", variant=name)
    if isinstance(levels.get("agent"), dict):
        return TargetSpec(agent=levels["agent"])
    only = _agent_target(levels, targets)
    if only is not None:
        return targets[only]
    prompt, model = levels.get("prompt"), levels.get("model")
    if prompt is None and len(prompts) == 1:
        prompt = next(iter(prompts))
    if prompt is None or model is None:
        lacking = "prompt" if prompt is None else "model"
        raise SpecError(f"variant {name!r} has no {lacking}; give `prompt` and `model`, or `target`")
    return TargetSpec(prompt=str(prompt), model=str(model))


def _model_of(name: str, models: Mapping[str, ModelSpec], *, variant: str) -> ModelSpec:
    if name in models:
        return models[name]
    if "/" in name or not models:
        return ModelSpec(model=name)
    return _named(name, models, what="model", variant=variant)


def _named(name: str, known: Mapping[str, T], *, what: str, variant: str) -> T:
    if name in known:
        return known[name]
    raise SpecError(f"variant {variant!r}: there is no {what} {name!r}; this file has {', '.join(known) or 'none'}")


def check_target(
    spec: TargetSpec, *, name: str, base_dir: Path, env: Mapping[str, str], known: Collection[str] = ()
) -> None:
    """Find out whether a target can be opened, without calling it.

    Args:
        spec: The target.
        name: Its name, for messages.
        base_dir: Folder of the experiment file.
        env: Where `${NAME}` of an endpoint is looked up.
        known: References of callables that were given from Python.

    Raises:
        SpecError: A file, module, function, program or environment variable is missing.
    """
    if spec.python is not None and spec.python not in known:
        import_callable(spec.python, base_dir=base_dir)
    elif spec.http is not None:
        HttpTarget(spec.http, name=name, params={}, env=env)
    elif spec.command is not None:
        program = spec.command[0]
        if (
            "{" not in program
            and shutil.which(program, path=env.get("PATH")) is None
            and not (base_dir / program).exists()
        ):
            raise SpecError(f"there is no program {program!r} on the PATH or beside the experiment file")


class TargetFactory:
    """Opens targets and closes what they hold.

    Args:
        client: The gateway.
        base_dir: Folder of the experiment file.
        threads: How many blocking callables may run at once.
        callables: Functions given from Python, by target name, instead of `module:function`.
        repeats: Repeats of the experiment, for recorded answers.
        stream: Stream every model call, to measure the time to first token.
        choices: Right answers that occur, for simulated models to be plausibly wrong with.
        input_names: Names of inputs that occur: whether a callable takes them by name is the same for every item.
    """

    def __init__(
        self,
        client: ModelClient,
        *,
        base_dir: Path,
        threads: int = 32,
        callables: Mapping[str, Callable[..., Any]] | None = None,
        repeats: int = 1,
        stream: bool = False,
        choices: Sequence[str] = (),
        input_names: Collection[str] = (),
    ) -> None:
        self._input_names = input_names
        self._client = client
        self._base_dir = base_dir
        self._callables = dict(callables or {})
        self._repeats = repeats
        self._stream = stream
        self._choices = choices
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="bakeoff-target")
        self._http: list[HttpTarget] = []

    def open(self, variant: VariantTarget) -> Target:
        """Return the running target of a variant.

        Raises:
            SpecError: A callable cannot be imported or an environment variable is missing.
        """
        spec = variant.spec
        if variant.agent is not None:
            return variant.agent.open(self._client, variant=variant.name, choices=self._choices)
        if spec.kind == "recorded":
            return RecordedTarget(str(spec.recorded), repeats=self._repeats)
        if spec.kind == "python":
            function = self._callables.get(str(spec.python)) or import_callable(
                str(spec.python), base_dir=self._base_dir
            )
            return CallableTarget(
                function,
                params=variant.params,
                timeout_s=spec.timeout_s,
                threads=self._pool,
                input_names=self._input_names,
            )
        if spec.kind == "command":
            return CommandTarget(spec, name=variant.name, params=variant.params, base_dir=self._base_dir)
        if spec.http is not None:
            target = HttpTarget(spec.http, name=variant.name, params=variant.params)
            self._http.append(target)
            return target
        assert variant.prompt is not None
        assert variant.model is not None
        return PromptTarget(
            prompt=variant.prompt,
            model=variant.model,
            params=variant.params,
            template_values=variant.template_values,
            client=self._client,
            variant=variant.name,
            stream=self._stream,
            choices=self._choices,
        )

    async def aclose(self) -> None:
        """Close connections; threads that still run are left to end by themselves."""
        for target in self._http:
            await target.aclose()
        self._pool.shutdown(wait=False, cancel_futures=True)
