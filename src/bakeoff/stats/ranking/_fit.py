"""Likelihoods and Newton steps for paired-comparison models, batched over bootstrap resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["Cells", "TieModel", "fit_cells", "is_connected", "is_separated", "log_probabilities", "outcome_scores"]

TieModel = Literal["davidson", "rao_kupper", "half"]
"""Tie in proportion to the geometric mean of the strengths; tie when the difference is below a threshold; a tie is
half a win for each."""

_MAX_STEP = 2.0
_MAX_ABS = 25.0


@dataclass(frozen=True, slots=True)
class Cells:
    """Distinct comparison situations: design of the log-odds, and which tie model describes the outcomes."""

    design: Float
    """Shape (cells, location parameters)."""
    model: TieModel
    penalty_rows: Float
    """Rows of pseudo-comparisons with half a win each way, shape (rows, location parameters)."""

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.design.shape[1] + (self.model != "half")


def log_probabilities(cells: Cells, beta: Float) -> Float:
    """Return log P of (first wins, tie, second wins), shape (batch, cells, 3); `half` has no tie outcome."""
    eta = beta[:, : cells.design.shape[1]] @ cells.design.T
    if cells.model == "davidson":
        logits = np.stack([eta / 2, np.broadcast_to(beta[:, -1:], eta.shape), -eta / 2], axis=-1)
        top = logits.max(axis=-1, keepdims=True)
        return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
    tau = beta[:, -1:] if cells.model == "rao_kupper" else np.zeros((len(beta), 1))
    win, lose = -np.logaddexp(0.0, tau - eta), -np.logaddexp(0.0, tau + eta)
    # P(tie) = P(win) P(lose) (exp(2 tau) - 1), exact where 1 - P(win) - P(lose) would cancel.
    tie = win + lose + np.log(np.expm1(2 * tau)) if cells.model == "rao_kupper" else np.full_like(win, -np.inf)
    return np.stack([win, tie, lose], axis=-1)


def outcome_scores(cells: Cells, beta: Float) -> tuple[Float, Float]:
    """Return d log P / d(eta, tie parameter) of shape (batch, cells, 3, 1 or 2), and P."""
    p = np.exp(log_probabilities(cells, beta))
    first, tie, second = p[..., 0], p[..., 1], p[..., 2]
    if cells.model == "davidson":
        mean = (first - second) / 2
        by_eta = np.stack([0.5 - mean, -mean, -0.5 - mean], axis=-1)
        by_tie = np.stack([-tie, 1 - tie, -tie], axis=-1)
        return np.stack([by_eta, by_tie], axis=-1), p
    by_eta = np.stack([1 - first, second - first, second - 1], axis=-1)
    if cells.model == "half":
        return by_eta[..., None], p
    tau = beta[:, -1:]
    push = 2 / -np.expm1(-2 * tau)
    by_tie = np.stack([first - 1, first + second - 2 + push, second - 1], axis=-1)
    return np.stack([by_eta, by_tie], axis=-1), p


def _derivatives(cells: Cells, beta: Float, counts: Float, penalty: float) -> tuple[Float, Float]:
    """Return gradient (batch, q) and expected information (batch, q, q)."""
    scores, p = outcome_scores(cells, beta)
    total = counts.sum(axis=-1)
    slope = (counts[..., None] * scores).sum(axis=2)
    info = (p[..., None, None] * scores[..., :, None] * scores[..., None, :]).sum(axis=2) * total[..., None, None]
    x, d = cells.design, cells.design.shape[1]
    q = cells.size
    gradient = np.zeros((len(beta), q))
    information = np.zeros((len(beta), q, q))
    gradient[:, :d] = slope[..., 0] @ x
    information[:, :d, :d] = np.einsum("br,ri,rj->bij", info[..., 0, 0], x, x, optimize=True)
    if q > d:
        gradient[:, d] = slope[..., 1].sum(axis=1)
        information[:, d, d] = info[..., 1, 1].sum(axis=1)
        cross = info[..., 0, 1] @ x
        information[:, :d, d] = cross
        information[:, d, :d] = cross
    if penalty:
        rows = cells.penalty_rows
        share = 1 / (1 + np.exp(-np.clip(beta[:, :d] @ rows.T, -500, 500)))
        gradient[:, :d] += penalty * (0.5 - share) @ rows
        information[:, :d, :d] += penalty * np.einsum("br,ri,rj->bij", share * (1 - share), rows, rows, optimize=True)
    return gradient, information


def fit_cells(cells: Cells, counts: Float, *, penalty: float, steps: int = 60) -> tuple[Float, Float, bool]:
    """Maximise the likelihood of outcome counts of shape (batch, cells, 3) by Fisher scoring.

    Returns:
        Parameters (batch, q), information (batch, q, q), and whether every fit converged.
    """
    beta = np.zeros((len(counts), cells.size))
    if cells.model == "rao_kupper":
        beta[:, -1] = 0.5
    ridge = 1e-10 * np.eye(cells.size)
    change = np.inf
    for _ in range(steps):
        gradient, information = _derivatives(cells, beta, counts, penalty)
        step = np.linalg.solve(information + ridge, gradient[..., None])[..., 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        step *= np.minimum(1.0, _MAX_STEP / np.maximum(longest, 1e-300))
        moved = np.clip(beta + step, -_MAX_ABS, _MAX_ABS)
        if cells.model == "rao_kupper":
            moved[:, -1] = np.maximum(moved[:, -1], beta[:, -1] / 4)
        change = float(np.abs(moved - beta).max())
        beta = moved
        if change < 1e-9:
            break
    information = _derivatives(cells, beta, counts, penalty)[1]
    return beta, information, change < 1e-6 and bool((np.abs(beta) < _MAX_ABS - 1e-6).all())


def _reach(links: NDArray[np.bool_]) -> NDArray[np.bool_]:
    reach = links | np.eye(len(links), dtype=bool)
    for _ in range(max(1, int(np.ceil(np.log2(max(len(links), 2)))))):
        reach = (reach.astype(np.float64) @ reach.astype(np.float64)) > 0
    return reach


def is_connected(wins: Float) -> bool:
    """Say whether every variant can be compared with every other through a chain of comparisons."""
    return bool(_reach((wins + wins.T) > 0).all())


def is_separated(wins: Float) -> bool:
    """Say whether some group of variants never lost to the rest (Ford 1957): the estimates would be infinite."""
    return not bool(_reach(wins > 0).all())
