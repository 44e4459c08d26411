"""The one door to every model: limits, retries, cache, budget, cost and traces behind one `complete`."""

from bakeoff.gateway._budget import Spent
from bakeoff.gateway._cache import CacheStats, ResponseCache
from bakeoff.gateway._config import BudgetSpec, GatewaySpec, LimitsSpec, PriceSpec, RateLimitSpec
from bakeoff.gateway._gateway import Gateway
from bakeoff.gateway._snapshot import GatewaySnapshot
from bakeoff.gateway._types import ModelClient, ModelRequest, ModelResponse, Purpose, Route, Usage

__all__ = [
    "BudgetSpec",
    "CacheStats",
    "Gateway",
    "GatewaySnapshot",
    "GatewaySpec",
    "LimitsSpec",
    "ModelClient",
    "ModelRequest",
    "ModelResponse",
    "PriceSpec",
    "Purpose",
    "RateLimitSpec",
    "ResponseCache",
    "Route",
    "Spent",
    "Usage",
]
