"""The thing under test: a prompt on a model, an agent, a callable, an endpoint, a command, recorded outputs."""

from bakeoff.targets._build import TargetFactory, VariantTarget, check_target, resolve_variant
from bakeoff.targets._callable import import_callable
from bakeoff.targets._prompt import PromptTarget
from bakeoff.targets._spec import MODEL_PARAMS, HttpSpec, ModelSpec, TargetSpec
from bakeoff.targets._types import AgentResolver, ResolvedAgent, Target, TargetResult

__all__ = [
    "MODEL_PARAMS",
    "AgentResolver",
    "HttpSpec",
    "ModelSpec",
    "PromptTarget",
    "ResolvedAgent",
    "Target",
    "TargetFactory",
    "TargetResult",
    "TargetSpec",
    "VariantTarget",
    "check_target",
    "import_callable",
    "resolve_variant",
]
