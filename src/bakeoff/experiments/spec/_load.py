"""From a spec to an experiment that is ready to run, or to every problem it has, before anything is paid for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.datasets import open_dataset
from bakeoff.errors import BakeoffError, SpecError, SpecProblem, StatsError
from bakeoff.evaluators import load_evaluator
from bakeoff.experiments.spec._batch_check import batch_problems
from bakeoff.experiments.spec._evaluator_check import check_evaluators
from bakeoff.experiments.spec._guards import guard_problems, load_guards
from bakeoff.experiments.spec._kept_keys import address_problems
from bakeoff.experiments.spec._key_check import judge_keys, missing_names, model_keys
from bakeoff.experiments.spec._parse import rest_of, validate
from bakeoff.experiments.spec._spec import ExperimentSpec
from bakeoff.experiments.spec._variants import expand_variants
from bakeoff.experiments.spec._yaml import Document, read_yaml
from bakeoff.prompts import load_prompt
from bakeoff.stats import compare
from bakeoff.targets import check_target, resolve_variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.datasets import Dataset
    from bakeoff.evaluators import Evaluator, Guard
    from bakeoff.prompts import Prompt
    from bakeoff.targets import AgentResolver, VariantTarget

__all__ = ["Experiment", "load_experiment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A checked experiment: everything is found, read and resolved; nothing has been called."""

    spec: ExperimentSpec
    base_dir: Path
    source: str
    """The experiment file, or where else the spec came from."""
    dataset: Dataset
    prompts: Mapping[str, Prompt]
    variants: Mapping[str, VariantTarget]
    evaluators: Sequence[Evaluator]
    guards: Sequence[Guard] = ()
    callables: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """Variant that the others are compared with."""
        return self.spec.analysis.baseline or next(iter(self.variants))

    @property
    def primary(self) -> str:
        """Metric that decides."""
        return self.spec.analysis.primary or self.evaluators[0].metrics[0].name

    @property
    def choices(self) -> list[str]:
        """The right answers that occur, when they are few: labels that a simulated model may confuse."""
        seen = {str(item.expected) for item in self.dataset.head(500) if isinstance(item.expected, str | int | bool)}
        return sorted(seen) if 1 < len(seen) <= 30 and len(seen) * 3 <= len(self.dataset) else []

    @property
    def is_simulated(self) -> bool:
        """Whether any variant runs on a simulated model: then every report says so."""
        return any(model.model.startswith("sim/") for v in self.variants.values() for model in v.models)


def load_experiment(
    source: Path | ExperimentSpec | Mapping[str, Any],
    *,
    spec: ExperimentSpec | None = None,
    base_dir: Path | None = None,
    cache_dir: Path | None = None,
    data: object = None,
    callables: Mapping[str, Callable[..., Any]] | None = None,
    evaluators: Sequence[Evaluator] | None = None,
    env: Mapping[str, str] | None = None,
    check_keys: bool = True,
) -> Experiment:
    """Read and check an experiment.

    Args:
        source: An experiment file, or a spec as data.
        spec: Spec to use instead of the file's, for instance with options of the command line; the file still says
            where things stand.
        base_dir: Where relative paths start; the file's folder, else the working directory.
        cache_dir: Where the data set is laid down once by content; a temporary folder when omitted.
        data: Items from Python instead of the spec's data set: a DataFrame, a list of dicts, a callable.
        callables: Functions from Python, by the reference used in `targets.*.python`.
        evaluators: Evaluators from Python, instead of the spec's.
        env: Environment to look for keys in; the process's when omitted.
        check_keys: Whether it is a problem when an API key, or a program that an evaluator needs, is missing here.

    Raises:
        SpecError: With every problem that was found.
    """
    said: list[SpecProblem] = []
    if isinstance(source, ExperimentSpec):
        document, spec = Document({}, "", {}), source
    else:
        document = read_yaml(source) if isinstance(source, Path) else Document(dict(source), "", {})
        try:
            spec = spec or validate(document, ExperimentSpec)
        except SpecError as error:
            spec = rest_of(error, document)
            if spec is None:
                raise
            said = list(error.problems)
    base_dir = base_dir or (source.resolve().parent if isinstance(source, Path) else Path.cwd())
    loader = _Loader(spec, document, base_dir, callables or {})
    loader.problems += said
    prompts = loader.prompts()
    variants = loader.variants(prompts)
    found = loader.evaluators() if evaluators is None else list(evaluators)
    guards = loader.guards(variants)
    loader.check_analysis(variants, found)
    loader.check_batch(variants)
    for problem in address_problems(spec):
        loader.add(problem.message, *problem.key.split("."), fix=problem.fix)
    dataset = loader.dataset(cache_dir, data, variants)
    loader.check_method(found)
    loader.check_targets(os.environ if env is None else env, callables or {})
    if dataset is not None:
        loader.check_variables(variants, dataset)
        loader.check_recorded(variants, dataset)
    if check_keys:
        loader.check_keys(variants, found, guards, os.environ if env is None else env)
        check_evaluators(spec, found, dataset, add=loader.add)
    loader.raise_if_any()
    assert dataset is not None
    return Experiment(
        spec=spec,
        base_dir=base_dir,
        source=document.file,
        dataset=dataset,
        prompts=prompts,
        variants=variants,
        evaluators=found,
        guards=guards,
        callables=dict(callables or {}),
    )


class _Loader:
    """Collects problems instead of stopping at the first."""

    def __init__(
        self, spec: ExperimentSpec, document: Document, base_dir: Path, callables: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.spec = spec
        self.document = document
        self.base_dir = base_dir
        self.callables = callables
        self.problems: list[SpecProblem] = []

    def add(self, message: str, *key: str | int, fix: str = "") -> None:
        dotted = ".".join(str(part) for part in key)
        self.problems.append(
            SpecProblem(message, key=dotted, file=self.document.file, line=self.document.line_of(key), fix=fix)
        )

    def adopt(self, error: BakeoffError, *key: str | int) -> None:
        """Take over a problem from another room and give it a place."""
        if isinstance(error, SpecError):
            for problem in error.problems:
                if problem.key and not problem.file:
                    self.add(problem.message, *problem.key.split("."), fix=problem.fix)
                elif problem.file:
                    self.problems.append(problem)
                else:
                    self.add(problem.message, *key, fix=problem.fix)
        else:
            message, _, fix = str(error).partition("\n    fix: ")
            self.add(message, *key, fix=fix)

    def raise_if_any(self) -> None:
        if self.problems:
            raise SpecError(list(dict.fromkeys(self.problems)))

    def prompts(self) -> dict[str, Prompt]:
        prompts: dict[str, Prompt] = {}
        for name, prompt in self.spec.prompts.items():
            try:
                prompts[name] = load_prompt(name, prompt, base_dir=self.base_dir)
            except BakeoffError as error:
                self.adopt(error, "prompts", name)
        return prompts

    def variants(self, prompts: Mapping[str, Prompt]) -> dict[str, VariantTarget]:
        expanded, problems = expand_variants(self.spec)
        for problem in problems:
            self.add(problem.message, *problem.key.split("."), fix=problem.fix)
        for name, target in self.spec.targets.items():
            if target.prompt is not None and target.prompt not in self.spec.prompts:
                self.add(
                    f"there is no prompt {target.prompt!r}", "targets", name, "prompt", fix="define it in `prompts:`"
                )
        agents: AgentResolver | None = None
        if any(target.agent is not None for target in self.spec.targets.values()):
            from bakeoff.agents import resolve_agent  # a tenth of the start of a run that has none

            agents = resolve_agent
        variants: dict[str, VariantTarget] = {}
        broken = set(self.spec.prompts) - set(prompts)
        for name, levels in expanded.items():
            if levels.get("prompt") in broken:
                continue  # said already
            try:
                variants[name] = resolve_variant(
                    name,
                    levels,
                    prompts=prompts,
                    models=self.spec.models,
                    targets=self.spec.targets,
                    base_dir=self.base_dir,
                    callables=self.callables,
                    agents=agents,
                )
            except SpecError as error:
                self.adopt(error, *(("variants", name) if name in self.spec.variants else ("factors",)))
        return variants

    def evaluators(self) -> list[Evaluator]:
        found: list[Evaluator] = []
        for index, entry in enumerate(self.spec.evaluators):
            try:
                evaluator = load_evaluator(entry, base_dir=self.base_dir)
            except BakeoffError as error:
                self.adopt(error, "evaluators", index)
                continue
            taken = {info.name for other in found for info in other.metrics}
            for twice in [info.name for info in evaluator.metrics if info.name in taken]:
                fix = "give one of them a `name`"
                self.add(f"the metric {twice!r} stands twice", "evaluators", index, fix=fix)
            found.append(evaluator)
        return found

    def guards(self, variants: Mapping[str, VariantTarget]) -> list[Guard]:
        found = load_guards(
            self.spec.guards,
            base_dir=self.base_dir,
            problem=lambda error, place: self.adopt(error, "guards", place, "check"),
        )
        if len(found) == len(self.spec.guards):
            batch = self.spec.gateway.mode == "batch"
            for message, place, key, fix in guard_problems(found, variants, batch=batch):
                self.add(message, "guards", place, key, fix=fix)
        return found

    def check_analysis(self, variants: Mapping[str, VariantTarget], evaluators: Sequence[Evaluator]) -> None:
        analysis = self.spec.analysis
        if analysis.baseline is not None and variants and analysis.baseline not in variants:
            fix = f"the variants are {', '.join(list(variants)[:20])}"
            self.add(f"there is no variant {analysis.baseline!r}", "analysis", "baseline", fix=fix)
        if self.spec.dataset.weight is not None and self.spec.allocation.method != "fixed":
            message = f"{self.spec.allocation.method!r} counts every item the same, and these items carry weights"
            self.add(message, "allocation", fix="use `allocation: fixed`, or leave `dataset.weight` out")
        metrics = [info.name for evaluator in evaluators for info in evaluator.metrics]
        for key, name in [
            ("primary", analysis.primary),
            *(("guardrails", entry.metric) for entry in analysis.guardrails),
        ]:
            known = name is None or name in metrics or any(name.startswith(f"{metric}.") for metric in metrics)
            if not known and len(evaluators) == len(self.spec.evaluators):
                fix = f"the metrics are {', '.join(metrics)}"
                self.add(f"there is no metric {name!r}", "analysis", key, fix=fix)
        directions = {info.name: info.higher_is_better for evaluator in evaluators for info in evaluator.metrics}
        for place, entry in enumerate(analysis.guardrails):
            if entry.margin is not None and entry.harm is None and directions.get(entry.metric, True) is None:
                fix = f"say which way is worse: {{metric: {entry.metric}, margin: {entry.margin:g}, harm: higher}}"
                self.add(f"{entry.metric!r} has no better direction", "analysis", "guardrails", place, fix=fix)

    def check_batch(self, variants: Mapping[str, VariantTarget]) -> None:
        if self.spec.gateway.mode == "batch":
            for message, key, fix in batch_problems(self.spec, variants):
                self.add(message, *key, fix=fix)

    def dataset(self, cache_dir: Path | None, data: object, variants: Mapping[str, VariantTarget]) -> Dataset | None:
        recorded = [v.spec.recorded for v in variants.values() if v.spec.recorded is not None]
        try:
            return open_dataset(
                self.spec.dataset, base_dir=self.base_dir, cache_dir=cache_dir, data=data, recorded=recorded
            )
        except BakeoffError as error:
            self.adopt(error, "dataset")
            return None

    def check_method(self, evaluators: Sequence[Evaluator]) -> None:
        """Try the declared methods and margin on a few made-up scores, so that they cannot fail after the run."""
        analysis = self.spec.analysis
        infos = [info for evaluator in evaluators for info in evaluator.metrics]
        primary = next((info for info in infos if info.name == analysis.primary), infos[0] if infos else None)
        if primary is None or primary.score_kind == "label":
            return
        bounded = primary.score_kind in ("binary", "bounded")
        if analysis.margin is not None and bounded and analysis.margin >= 1:
            fix = f"write {analysis.margin / 100:g} for {analysis.margin:g} points" if analysis.margin <= 100 else ""
            message = f"{analysis.margin:g} is as large as the whole scale of {primary.name}, which goes from 0 to 1"
            self.add(message, "analysis", "margin", fix=fix)
        rng = np.random.default_rng(0)
        shape = (60, self.spec.repeats) if self.spec.repeats > 1 else (60,)
        binary = primary.score_kind == "binary"
        left, right = (rng.integers(0, 2, shape) if binary else rng.random(shape) for _ in range(2))
        for key, interval, test in (("interval", analysis.interval, None), ("test", None, analysis.test)):
            if interval is None and test is None:
                continue
            try:
                compare(left, right, kind=primary.score_kind or "continuous", interval=interval, test=test)
            except StatsError as error:
                self.add(str(error), "analysis", key, fix="leave it out to have the method chosen for the data")

    def check_targets(self, env: Mapping[str, str], callables: Mapping[str, Callable[..., Any]]) -> None:
        for name, target in self.spec.targets.items():
            try:
                check_target(target, name=name, base_dir=self.base_dir, env=env, known=callables)
            except SpecError as error:
                self.adopt(error, "targets", name)

    def check_recorded(self, variants: Mapping[str, VariantTarget], dataset: Dataset) -> None:
        if self.spec.repeats == 1:
            return
        sample = dataset.head(50)
        for variant in variants.values():
            path = variant.spec.recorded
            answers = [item.recorded[path] for item in sample if path in item.recorded] if path is not None else []
            if answers and not any(isinstance(answer, list) for answer in answers):
                message = f"{path!r} holds one answer for each item, but `repeats` is {self.spec.repeats}"
                self.add(message, "targets", variant.name, fix="set `repeats: 1`, or record a list of answers")

    def check_variables(self, variants: Mapping[str, VariantTarget], dataset: Dataset) -> None:
        checked: set[tuple[str, frozenset[str]]] = set()
        for variant in variants.values():
            for dotted, message in variant.agent.check(dataset.input_names) if variant.agent is not None else ():
                fix = f"the data set has {', '.join(sorted(dataset.input_names)) or 'no inputs'}"
                self.add(message, *dotted.split("."), fix=fix)
            if variant.prompt is None:
                continue
            available = frozenset(dataset.input_names).union(variant.template_values)
            if (variant.prompt.name, available) in checked:
                continue
            checked.add((variant.prompt.name, available))
            for message in variant.prompt.check(available):
                fix = f"the data set has {', '.join(sorted(available)) or 'no inputs'}"
                self.add(message, "prompts", variant.prompt.name, fix=fix)

    def check_keys(
        self,
        variants: Mapping[str, VariantTarget],
        evaluators: Sequence[Evaluator],
        guards: Sequence[Guard],
        env: Mapping[str, str],
    ) -> None:
        model_keys(self.spec, variants, env, add=self.add, adopt=self.adopt)
        said = {name for problem in self.problems for name in missing_names(problem.message)}
        judge_keys(self.spec, evaluators, guards, env, said=said, add=self.add)
