"""The one door to every model: limits, retries, cache, budget, cost and traces behind one `complete`."""

from bakeoff.gateway._budget import Spent
from bakeoff.gateway._cache import CacheStats, ResponseCache
from bakeoff.gateway._config import BudgetSpec, GatewaySpec, LimitsSpec, PriceSpec, RateLimitSpec
from bakeoff.gateway._embed import EmbeddingClient, Embeddings, embedding_calls
from bakeoff.gateway._errors import Secrets
from bakeoff.gateway._gateway import Gateway
from bakeoff.gateway._moderate import Moderation
from bakeoff.gateway._pricing import BATCH_PRICE, Price, price_map_version, price_of
from bakeoff.gateway._providers import has_batches, missing_env, required_env
from bakeoff.gateway._snapshot import GatewaySnapshot
from bakeoff.gateway._tokens import estimate_text_tokens, estimate_tokens
from bakeoff.gateway._types import ModelClient, ModelRequest, ModelResponse, Purpose, Route, Usage

__all__ = [
    "BATCH_PRICE",
    "BudgetSpec",
    "CacheStats",
    "EmbeddingClient",
    "Embeddings",
    "Gateway",
    "GatewaySnapshot",
    "GatewaySpec",
    "LimitsSpec",
    "ModelClient",
    "ModelRequest",
    "ModelResponse",
    "Moderation",
    "Price",
    "PriceSpec",
    "Purpose",
    "RateLimitSpec",
    "ResponseCache",
    "Route",
    "Secrets",
    "Spent",
    "Usage",
    "embedding_calls",
    "estimate_text_tokens",
    "estimate_tokens",
    "has_batches",
    "missing_env",
    "price_map_version",
    "price_of",
    "required_env",
]
