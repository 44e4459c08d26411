"""MLflow: a sink for runs - one parent run, one child for each variant, never a call for each trial."""

from bakeoff.mlflow._log import log_run
from bakeoff.mlflow._read import read_evaluation

__all__ = ["log_run", "read_evaluation"]
