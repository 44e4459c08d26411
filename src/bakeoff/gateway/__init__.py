"""The one door to every model: limits, retries, cache, budget, cost and traces behind one `complete`."""

from bakeoff.gateway._types import ModelClient, ModelRequest, ModelResponse, Purpose, Route, Usage

__all__ = ["ModelClient", "ModelRequest", "ModelResponse", "Purpose", "Route", "Usage"]
