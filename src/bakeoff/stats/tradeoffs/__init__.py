"""Trade-offs: Pareto fronts, cheapest good enough, pass@k, item analysis, anchor items."""

from bakeoff.stats.tradeoffs._anchors import AnchorEstimate, anchor_mean, choose_anchors, predict_from_anchors
from bakeoff.stats.tradeoffs._irt import ItemModel, fit_item_model
from bakeoff.stats.tradeoffs._item_analysis import ItemAnalysis, item_analysis
from bakeoff.stats.tradeoffs._pareto import (
    CheapestResult,
    Objective,
    ParetoResult,
    cheapest_within,
    pareto_analysis,
    pareto_front,
)
from bakeoff.stats.tradeoffs._pass_at_k import PassRule, pass_at_k, pass_curve, pass_hat_k, pass_k_values

__all__ = [
    "AnchorEstimate",
    "CheapestResult",
    "ItemAnalysis",
    "ItemModel",
    "Objective",
    "ParetoResult",
    "PassRule",
    "anchor_mean",
    "cheapest_within",
    "choose_anchors",
    "fit_item_model",
    "item_analysis",
    "pareto_analysis",
    "pareto_front",
    "pass_at_k",
    "pass_curve",
    "pass_hat_k",
    "pass_k_values",
    "predict_from_anchors",
]
