"""Scorers, metrics and evaluators of other libraries, as evaluators of ours.

None of the libraries is imported before one of its scorers is named in a spec. Their telemetry is switched off first,
and what they ask a model goes through the gateway of the run.
"""

from bakeoff.evaluators.adapters._autoevals import AutoevalsScorer
from bakeoff.evaluators.adapters._deepeval import DeepEvalMetric
from bakeoff.evaluators.adapters._inspect import InspectScorer
from bakeoff.evaluators.adapters._mlflow import MlflowScorer
from bakeoff.evaluators.adapters._pydantic_evals import PydanticEvaluator
from bakeoff.evaluators.adapters._ragas import RagasMetric

__all__ = [
    "AutoevalsScorer",
    "DeepEvalMetric",
    "InspectScorer",
    "MlflowScorer",
    "PydanticEvaluator",
    "RagasMetric",
]
