"""Simulated models (`sim/...`): in this process, seeded, never presented as real (`docs/simulated-models.md`)."""

from bakeoff.gateway._sim._handler import register_with_litellm
from bakeoff.gateway._sim._params import SIM_MODELS, SimParams, is_simulated, sim_params, sim_price
from bakeoff.gateway._sim._skill import correct_probability
from bakeoff.gateway._sim._transport import SimTransport

__all__ = [
    "SIM_MODELS",
    "SimParams",
    "SimTransport",
    "correct_probability",
    "is_simulated",
    "register_with_litellm",
    "sim_params",
    "sim_price",
]
