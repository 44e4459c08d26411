"""A router fitted on past runs: which model for which request, and whether that beats one model for all."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.agents.retrieval._hashed import embed
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["Router", "RouterReport", "fit_router", "load_router"]

_DIMENSIONS = 256
_FOLDS = 5
_MIN_ITEMS = 20


@dataclass(frozen=True, slots=True)
class RouterReport:
    """What a router is worth on items that it was not fitted on."""

    n_items: int
    routed: float
    """Mean utility when each item goes where the router of the other folds sends it."""
    best_fixed: float
    """Mean utility of one model for all, chosen on the other folds as well."""
    best_fixed_model: str
    gain: float
    """`routed - best_fixed`; when it is negative, it is the regret of routing."""
    gain_low: float
    gain_high: float
    """95% t-interval of the gain over items."""
    oracle: float
    """Mean utility if the best model of each item were known: what no router can beat."""
    shares: Mapping[str, float]
    """Share of held-out items sent to each model."""

    @property
    def sentence(self) -> str:
        """What follows, in words."""
        about = f"{self.gain:+.3f} ({self.gain_low:+.3f} to {self.gain_high:+.3f}) on {self.n_items} held-out items"
        if self.gain_low > 0:
            return f"Routing beats {self.best_fixed_model} for all by {about}."
        if self.gain_high < 0:
            return f"Routing is worse than {self.best_fixed_model} for all: {about}; do not use it."
        return f"Routing is not shown to differ from {self.best_fixed_model} for all: {about}; prefer the fixed model."


@dataclass(frozen=True, slots=True)
class Router:
    """Sends a request to the model with the highest predicted utility."""

    models: tuple[str, ...]
    weights: Float = field(repr=False)
    """Shape (models, features + 1); the last column is the intercept."""
    report: RouterReport

    def choose(self, text: str) -> str:
        """Return the model for a request."""
        return self.models[int(np.argmax(self.weights @ _features([text])[0]))]

    def save(self, path: Path) -> None:
        """Write the router as JSON, for `router:` in a step."""
        report = {name: getattr(self.report, name) for name in self.report.__slots__}
        data = {"version": 1, "models": list(self.models), "weights": self.weights.round(9).tolist(), "report": report}
        path.write_text(json.dumps(data), encoding="utf-8")


def load_router(path: Path) -> Router:
    """Read a router.

    Raises:
        SpecError: The file is not there, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        weights = np.array(data["weights"], dtype=np.float64)
        models = tuple(map(str, data["models"]))
        report = RouterReport(**data["report"])
    except OSError as error:
        raise SpecError(f"the router {str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise SpecError(f"{str(path)!r} is not a router; write one with `Router.save`") from None
    if weights.shape != (len(models), _DIMENSIONS + 1) or not np.isfinite(weights).all():
        raise SpecError(f"the router {str(path)!r} has weights of the wrong shape")
    return Router(models, weights, report)


def _features(texts: Sequence[str]) -> Float:
    vectors = embed(texts, dimensions=_DIMENSIONS)
    return np.concatenate([vectors, np.ones((len(texts), 1))], axis=1)


def fit_router(
    texts: Sequence[str],
    utility: Mapping[str, ArrayLike],
    *,
    penalty: float = 1.0,
    seed: int = 0,
) -> Router:
    """Fit a router on past runs, and say what it is worth on items it has not seen.

    Ridge regression of the utility of each model on hashed character n-grams of the request. Its worth comes from
    5 folds: each item is routed by a router fitted on the other folds, and compared with the one model that was best
    on those same folds. An interval that treats folds as independent is slightly too short; a gain that only just
    excludes zero is to be checked by an experiment.

    Args:
        texts: The requests.
        utility: For each model the utility of its answer to each request: the score, minus what its cost is worth.
        penalty: Of the ridge.
        seed: Of the folds.

    Raises:
        SpecError: Fewer than 20 requests, fewer than two models, or utilities of another length or not finite.

    Examples:
        >>> texts = [f"simple sum {n}" if n % 2 else f"long contract {n}" for n in range(100)]
        >>> hard = [0.0 if n % 2 else 1.0 for n in range(100)]
        >>> router = fit_router(texts, {"small": [1.0 - h for h in hard], "large": [0.6] * 100})
        >>> router.choose("simple sum 7"), router.choose("long contract 8"), router.report.gain > 0.1
        ('small', 'large', True)
    """
    models = tuple(utility)
    values = np.array([np.asarray(utility[model], dtype=np.float64) for model in models])
    if len(texts) < _MIN_ITEMS or len(models) < 2:
        raise SpecError(
            f"a router needs at least {_MIN_ITEMS} requests and 2 models, got {len(texts)} and {len(models)}"
        )
    if values.shape != (len(models), len(texts)) or not np.isfinite(values).all():
        raise SpecError("every model needs one finite utility for each request")
    if not penalty > 0 or not math.isfinite(penalty):
        raise SpecError(f"penalty must be a positive number, got {penalty!r}")
    features = _features(texts)
    folds = np.random.default_rng(seed).permutation(len(texts)) % _FOLDS
    routed, fixed = np.zeros(len(texts)), np.zeros(len(texts))
    sent = np.zeros(len(texts), dtype=np.intp)
    for fold in range(_FOLDS):
        held, rest = folds == fold, folds != fold
        weights = _ridge(features[rest], values[:, rest], penalty)
        sent[held] = np.argmax(weights @ features[held].T, axis=0)
        routed[held] = values[sent[held], np.flatnonzero(held)]
        fixed[held] = values[int(np.argmax(values[:, rest].mean(axis=1)))][held]
    difference = routed - fixed
    gain = float(difference.mean())
    half = _t975(len(texts) - 1) * float(difference.std(ddof=1)) / math.sqrt(len(texts))
    report = RouterReport(
        n_items=len(texts),
        routed=float(routed.mean()),
        best_fixed=float(fixed.mean()),
        best_fixed_model=models[int(np.argmax(values.mean(axis=1)))],
        gain=gain,
        gain_low=gain - half,
        gain_high=gain + half,
        oracle=float(values.max(axis=0).mean()),
        shares={model: float((sent == index).mean()) for index, model in enumerate(models)},
    )
    return Router(models, _ridge(features, values, penalty), report)


def _ridge(features: Float, values: Float, penalty: float) -> Float:
    """Return weights of shape (models, features); the intercept is not penalised."""
    mean_x, mean_y = features[:, :-1].mean(axis=0), values.mean(axis=1, keepdims=True)
    x, y = features[:, :-1] - mean_x, (values - mean_y).T
    slope = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y).T
    return np.concatenate([slope, mean_y - slope @ mean_x[:, None]], axis=1)


def _t975(df: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.975))
