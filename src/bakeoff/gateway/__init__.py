"""The one door to every model: limits, retries, cache, budget, cost and traces behind one `complete`."""

from bakeoff.gateway._config import BudgetSpec, GatewaySpec, LimitsSpec, PriceSpec, RateLimitSpec
from bakeoff.gateway._types import ModelClient, ModelRequest, ModelResponse, Purpose, Route, Usage

__all__ = [
    "BudgetSpec",
    "GatewaySpec",
    "LimitsSpec",
    "ModelClient",
    "ModelRequest",
    "ModelResponse",
    "PriceSpec",
    "Purpose",
    "RateLimitSpec",
    "Route",
    "Usage",
]
