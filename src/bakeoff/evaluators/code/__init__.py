"""The validation mesh: code from outputs, looked at by tools and run in a sandbox."""

from bakeoff.evaluators.code._containers import SandboxSpec
from bakeoff.evaluators.code._mesh import CodeMesh
from bakeoff.evaluators.code._run import CodeOutput, CodeTests
from bakeoff.evaluators.code._sandbox import (
    SandboxLimits,
    SandboxResult,
    SandboxUnavailableError,
    run_sandboxed,
    sandbox_problem,
)
from bakeoff.evaluators.code._stages import CodeSecurity, CodeStyle, CodeSyntax, CodeTypes

__all__ = [
    "CodeMesh",
    "CodeOutput",
    "CodeSecurity",
    "CodeStyle",
    "CodeSyntax",
    "CodeTests",
    "CodeTypes",
    "SandboxLimits",
    "SandboxResult",
    "SandboxSpec",
    "SandboxUnavailableError",
    "run_sandboxed",
    "sandbox_problem",
]
