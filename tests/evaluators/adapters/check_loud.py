"""The trap itself: with nothing switched off, the library named on the command line is caught calling home."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import MODEL, Judge, one, set_trap, tried

set_trap()

from bakeoff.evaluators.adapters import _quiet  # noqa: E402 - after the trap

_quiet.QUIET = {}
SPECS = {
    "deepeval": {"scorer": "GEval", "args": {"name": "x", "criteria": "kind?", "evaluation_params": ["actual_output"]}},
    "ragas": {"scorer": "Faithfulness", "fields": {"retrieved_contexts": "inputs.q"}},
    "inspect": {"scorer": "model_graded_qa"},
    "autoevals": {"scorer": "Factuality"},
    "pydantic_evals": {"scorer": "LLMJudge", "args": {"rubric": "x"}},
    "mlflow": {"scorer": "ResponseLength", "args": {"max_length": 3}},
}
library = sys.argv[1]
spec, judge = SPECS[library], None
if library != "mlflow":
    spec, judge = {**spec, "model": MODEL}, Judge('{"statements": ["a"]}')
one({library: spec}, judge=judge, inputs={"q": "?"}, output="a", expected="b")
for line in tried(3.0):
    sys.stdout.write(f"{line}\n")
