"""Which cells to run when the full cross is too dear, and what then cannot be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, islice, product
from math import comb, log2, nan, prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, check_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["CellPlan", "fractional_factorial", "optimal_cells", "plan_cells"]

_MAX_SEARCH = 20_000
_MAX_CANDIDATES = 2_000
_NOTABLE = 0.2
_ROMAN = {3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII", 8: "VIII", 9: "IX", 10: "X"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """Cells of a factorial experiment to run."""

    cells: tuple[dict[str, str], ...]
    """Level of each factor, for each cell."""
    factors: dict[str, tuple[str, ...]]
    n_full: int
    """Cells of the full cross."""
    method: Literal["full", "regular_fraction", "d_optimal"]
    resolution: int | None = None
    """Of a regular fraction: 3 main effects clear of each other, 4 also clear of pairs, 5 pairs clear too."""
    generators: tuple[str, ...] = ()
    """How the later factors follow from the earlier ones, for instance `E = A x B`."""
    defining_words: tuple[tuple[str, ...], ...] = ()
    """Sets of factors whose interaction is constant over the cells."""
    aliases: tuple[str, ...] = ()
    """What cannot be told apart, in words."""
    efficiency: float = 1.0
    """D-efficiency for the planned effects, against the full cross (1 = as good per cell)."""
    sentence: str

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """Levels of each cell in the order of the factors."""
        return tuple(tuple(cell[name] for name in self.factors) for cell in self.cells)


def plan_cells(factors: Mapping[str, Sequence[str]], *, max_cells: int, rng: np.random.Generator | int = 0) -> CellPlan:
    """Choose at most `max_cells` cells of a factorial experiment.

    The full cross when it fits; a regular two-level fraction when every factor has two levels; otherwise the
    D-optimal cells for main effects.

    Args:
        factors: Levels of each factor.
        max_cells: Cells there is money for.
        rng: Seed or generator, for the D-optimal search.

    Returns:
        The plan, with its alias structure in words.

    Raises:
        StatsError: Fewer cells than the main effects need.

    Examples:
        >>> from bakeoff.stats import plan_cells
        >>> factors = {name: ["off", "on"] for name in ("memory", "tools", "plan", "reflect")}
        >>> plan = plan_cells(factors, max_cells=8)
        >>> plan.method, plan.resolution, len(plan.cells)
        ('regular_fraction', 4, 8)
        >>> plan.aliases[0]
        'memory x tools cannot be told apart from plan x reflect.'
    """
    levels = _levels(factors)
    max_cells = check_count(max_cells, "max_cells", minimum=1)
    full = prod(len(values) for values in levels.values())
    if full <= max_cells:
        cells = tuple(dict(zip(levels, values, strict=True)) for values in product(*levels.values()))
        sentence = f"All {full} cells: every main effect and interaction can be estimated."
        return CellPlan(cells=cells, factors=levels, n_full=full, method="full", sentence=sentence)
    needed = 1 + sum(len(values) - 1 for values in levels.values())
    if max_cells < needed:
        raise StatsError(f"the main effects of {list(levels)} need at least {needed} cells, got max_cells={max_cells}")
    runs = 2 ** int(log2(max_cells))
    if all(len(values) == 2 for values in levels.values()) and runs >= needed:
        return fractional_factorial(levels, runs=runs)
    return optimal_cells(levels, n_cells=max_cells, rng=rng)


def fractional_factorial(factors: Mapping[str, Sequence[str]], *, runs: int) -> CellPlan:
    """Choose `runs` cells of a two-level cross by a regular `2^(k-p)` fraction of least aberration.

    The first `log2(runs)` factors are crossed; each later one is set to the product of some of them, chosen so
    that the shortest word of the defining relation is as long, and as rare, as possible (Fries and Hunter
    1980; the designs of Box, Hunter and Hunter 2005, table 6.22). Exhaustive up to 20,000 choices of
    generators; beyond that among those with the longest words.

    Args:
        factors: Two levels of each factor; the first counts as low.
        runs: A power of two, more than the number of factors.

    Returns:
        The plan with resolution, generators and aliases of main effects and pairs.

    Raises:
        StatsError: A factor with other than two levels, or an impossible number of runs.

    Examples:
        >>> from bakeoff.stats import fractional_factorial
        >>> plan = fractional_factorial({name: ["-", "+"] for name in "ABCDE"}, runs=16)
        >>> plan.resolution, plan.generators
        (5, ('E = A x B x C x D',))
    """
    levels = _levels(factors)
    names, k = tuple(levels), len(levels)
    odd = [name for name, values in levels.items() if len(values) != 2]
    if odd:
        raise StatsError(f"a regular fraction needs two levels for every factor, {odd} have others; use optimal_cells")
    runs = check_count(runs, "runs", minimum=2)
    base = runs.bit_length() - 1
    if 2**base != runs or base > k or runs <= k:
        raise StatsError(f"runs must be a power of two above {k} (the factors) and at most {2**k}, got {runs}")
    generators = _generators(base, k)
    group = _defining_group(base, generators)
    signs = np.array(list(product((0, 1), repeat=base)), dtype=np.int64)
    columns = [signs[:, index] for index in range(base)]
    # a word over an odd number of base factors keeps "all low" as a cell when its product is +, as in the books
    for word in generators:
        members = [columns[index] for index in range(base) if word >> index & 1]
        parity = np.sum(members, axis=0) % 2
        columns.append(parity if len(members) % 2 == 1 else 1 - parity)
    design = np.stack(columns, axis=1)
    cells = tuple({name: levels[name][row[index]] for index, name in enumerate(names)} for row in design.tolist())
    resolution = min((word.bit_count() for word in group), default=None)
    aliases = _alias_words(group, names)
    return CellPlan(
        cells=cells,
        factors=levels,
        n_full=2**k,
        method="regular_fraction" if k > base else "full",
        resolution=resolution,
        generators=tuple(f"{names[base + index]} = {_word(word, names)}" for index, word in enumerate(generators)),
        defining_words=tuple(
            tuple(names[index] for index in range(k) if word >> index & 1) for word in sorted(group, key=_by_length)
        ),
        aliases=aliases,
        sentence=_fraction_sentence(runs, 2**k, resolution),
    )


def optimal_cells(
    factors: Mapping[str, Sequence[str]],
    *,
    n_cells: int,
    interactions: Iterable[tuple[str, str]] = (),
    starts: int = 6,
    rng: np.random.Generator | int = 0,
) -> CellPlan:
    """Choose `n_cells` different cells that estimate the main effects best (D-optimal, Fedorov exchange).

    For factors with any numbers of levels. The determinant of the information matrix of the main effects, and
    of the `interactions` asked for, is raised by exchanging cells until no exchange helps, from several
    random starts. Interactions that were not asked for are taken to be zero: what they would bias is said.

    Args:
        factors: Levels of each factor.
        n_cells: Cells to run.
        interactions: Pairs of factors whose interaction must be estimable too.
        starts: Random starts.
        rng: Seed or generator.

    Returns:
        The plan, with its D-efficiency against the full cross.

    Raises:
        StatsError: Fewer cells than effects, more than there are, or an unknown factor.

    Source: Fedorov (1972), Theory of Optimal Experiments; Cook and Nachtsheim (1980), Technometrics 22, 315-324.

    Examples:
        >>> from bakeoff.stats import optimal_cells
        >>> factors = {"prompt": ["a", "b", "c"], "model": ["s", "m", "l"], "temperature": ["0", "0.5", "1"]}
        >>> plan = optimal_cells(factors, n_cells=9)
        >>> len(plan.cells), round(plan.efficiency, 3)
        (9, 1.0)
    """
    levels = _levels(factors)
    pairs = [tuple(pair) for pair in interactions]
    for pair in pairs:
        if len(set(pair)) != 2 or not set(pair) <= set(levels):
            raise StatsError(f"interactions must be pairs of factors among {list(levels)}, got {pair!r}")
    full = prod(len(values) for values in levels.values())
    n_cells, starts = check_count(n_cells, "n_cells", minimum=1), check_count(starts, "starts", minimum=1)
    generator = as_rng(rng)
    codes = _candidates(levels, full, generator)
    planned = [(index,) for index in range(len(levels))]
    order = {name: index for index, name in enumerate(levels)}
    planned += [(order[first], order[second]) for first, second in pairs]
    x = _model(codes, levels, planned)
    if not x.shape[1] <= n_cells <= full:
        raise StatsError(
            f"n_cells must be between {x.shape[1]} (the effects) and {full} (the full cross), got {n_cells}"
        )
    if n_cells > codes.shape[0]:
        raise StatsError(f"n_cells must be at most {codes.shape[0]} for a cross of {full} cells, got {n_cells}")
    best, best_log = np.arange(n_cells), -np.inf
    for _ in range(starts):
        chosen = _exchange(x, generator.permutation(x.shape[0])[:n_cells])
        value = _log_det(x[chosen])
        if value > best_log + 1e-9:
            best, best_log = chosen, value
    chosen = np.sort(best)
    efficiency = float(np.exp(best_log / x.shape[1])) / n_cells if np.isfinite(best_log) else 0.0
    names = tuple(levels)
    cells = tuple(
        {name: levels[name][row[index]] for index, name in enumerate(names)} for row in codes[chosen].tolist()
    )
    aliases = _bias_words(codes[chosen], levels, planned)
    effects = "main effects" + (f" and {len(pairs)} interaction{'s' if len(pairs) > 1 else ''}" if pairs else "")
    note = "" if not aliases else " An interaction that was left out would show up as one of these effects."
    sentence = f"{n_cells} of {full} cells estimate the {effects} with {efficiency:.0%} of the ideal precision.{note}"
    return CellPlan(
        cells=cells,
        factors=levels,
        n_full=full,
        method="d_optimal",
        aliases=aliases,
        efficiency=efficiency,
        sentence=sentence,
    )


def _levels(factors: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    if not factors:
        raise StatsError("factors must name at least one factor with its levels")
    levels = {name: tuple(values) for name, values in factors.items()}
    for name, values in levels.items():
        if len(values) < 2 or len(set(values)) != len(values):
            raise StatsError(f"factor {name!r} needs at least two different levels, got {list(values)}")
    return levels


def _by_length(word: int) -> tuple[int, int]:
    return word.bit_count(), word


def _defining_group(base: int, generators: Sequence[int]) -> list[int]:
    """Return every word of the defining relation as a bit mask over all factors."""
    group = [0]
    for index, word in enumerate(generators):
        own = word | 1 << (base + index)
        group += [member ^ own for member in group]
    return group[1:]


def _generators(base: int, k: int) -> tuple[int, ...]:
    extra = k - base
    if extra == 0:
        return ()
    words = sorted((word for word in range(1, 2**base) if word.bit_count() > 1), key=lambda w: (-w.bit_count(), w))
    best: tuple[int, ...] = ()
    best_pattern: tuple[int, ...] | None = None
    search = combinations(words, extra)
    if comb(len(words), extra) > _MAX_SEARCH:  # even or odd words alone give resolution IV where it exists
        odd = [word for word in words if word.bit_count() % 2 == 1]
        words = odd if len(odd) >= extra else words
        search = islice(combinations(words, extra), _MAX_SEARCH)
    for chosen in search:
        lengths = np.bincount([word.bit_count() for word in _defining_group(base, chosen)], minlength=k + 1)
        pattern = tuple(int(count) for count in lengths[3:])
        if best_pattern is None or pattern < best_pattern:
            best, best_pattern = chosen, pattern
    # assign the shortest words first, which is how the books list them
    return tuple(sorted(best, key=_by_length))


def _word(word: int, names: Sequence[str]) -> str:
    return " x ".join(name for index, name in enumerate(names) if word >> index & 1)


def _alias_words(group: Sequence[int], names: Sequence[str]) -> tuple[str, ...]:
    """Say which main effects and pairs share an estimate."""
    k = len(names)
    effects = [1 << i for i in range(k)] + [1 << i | 1 << j for i, j in combinations(range(k), 2)]
    seen: set[int] = set()
    sentences = []
    for effect in effects:
        if effect in seen:
            continue
        same = sorted((effect ^ word for word in group if (effect ^ word).bit_count() <= 2), key=_by_length)
        seen.update((effect, *same))
        if same:
            others = " or ".join(_word(one, names) for one in same)
            sentences.append(f"{_word(effect, names)} cannot be told apart from {others}.")
    return tuple(sentences)


def _fraction_sentence(runs: int, full: int, resolution: int | None) -> str:
    if resolution is None:
        return f"All {full} cells: every main effect and interaction can be estimated."
    meaning = {
        3: "main effects are clear of each other, but each is mixed with interactions of two factors",
        4: "main effects are clear of interactions of two factors, but those are mixed with each other",
    }.get(resolution, "main effects and interactions of two factors can all be estimated")
    name = _ROMAN.get(resolution, str(resolution))
    return f"{runs} of {full} cells (resolution {name}): {meaning}."


def _candidates(levels: Mapping[str, tuple[str, ...]], full: int, rng: np.random.Generator) -> NDArray[np.int64]:
    sizes = [len(values) for values in levels.values()]
    if full <= _MAX_CANDIDATES:
        return np.array(list(product(*(range(size) for size in sizes))), dtype=np.int64)
    draws = np.stack([rng.integers(0, size, _MAX_CANDIDATES) for size in sizes], axis=1)
    return np.unique(draws, axis=0).astype(np.int64)


def _columns(codes: NDArray[np.int64], levels: Mapping[str, tuple[str, ...]]) -> list[Float]:
    """Return orthonormal contrasts of each factor: the information of the full cross is the identity."""
    out = []
    for index, values in enumerate(levels.values()):
        k = len(values)
        helmert = np.linalg.qr(np.hstack([np.ones((k, 1)), np.eye(k)[:, : k - 1]]))[0][:, 1:] * np.sqrt(k)
        out.append(helmert[codes[:, index]])
    return out


def _model(
    codes: NDArray[np.int64], levels: Mapping[str, tuple[str, ...]], effects: Sequence[tuple[int, ...]]
) -> Float:
    columns = _columns(codes, levels)
    parts = [np.ones((codes.shape[0], 1))]
    for effect in effects:
        block = columns[effect[0]]
        for other in effect[1:]:
            block = (block[:, :, None] * columns[other][:, None, :]).reshape(codes.shape[0], -1)
        parts.append(block)
    return np.hstack(parts)


def _log_det(x: Float) -> float:
    sign, value = np.linalg.slogdet(x.T @ x)
    return float(value) if sign > 0 else -np.inf


def _exchange(x: Float, start: NDArray[np.intp]) -> NDArray[np.intp]:
    """Exchange one cell at a time for the one that raises the determinant most (Fedorov's delta)."""
    chosen = start.copy()
    ridge = 1e-6 * np.eye(x.shape[1])
    for _ in range(50 * chosen.size):
        inverse = np.linalg.inv(x[chosen].T @ x[chosen] + ridge)
        outside = np.setdiff1d(np.arange(x.shape[0]), chosen)
        if outside.size == 0:
            break
        inner, outer = x[chosen], x[outside]
        own_in = np.einsum("ij,jk,ik->i", inner, inverse, inner)
        own_out = np.einsum("ij,jk,ik->i", outer, inverse, outer)
        cross = inner @ inverse @ outer.T
        gain = own_out[None, :] - own_in[:, None] - own_in[:, None] * own_out[None, :] + cross**2
        place = int(np.argmax(gain))
        if gain.flat[place] <= 1e-9:
            break
        row, column = divmod(place, outside.size)
        chosen[row] = outside[column]
    return chosen


def _bias_words(
    codes: NDArray[np.int64], levels: Mapping[str, tuple[str, ...]], planned: Sequence[tuple[int, ...]]
) -> tuple[str, ...]:
    """Say which planned effects an unplanned interaction of two factors would bias, and how strongly."""
    names = tuple(levels)
    x = _model(codes, levels, planned)
    ends = np.cumsum([1] + [prod(len(levels[names[i]]) - 1 for i in effect) for effect in planned])
    sentences = []
    for pair in combinations(range(len(names)), 2):
        if pair in planned or pair[::-1] in planned:
            continue
        left_out = _model(codes, levels, [pair])[:, 1:]
        alias = np.linalg.lstsq(x, left_out, rcond=None)[0]
        for effect, start, stop in zip(planned, ends[:-1], ends[1:], strict=True):
            size = float(np.linalg.norm(alias[start:stop], 2)) if stop > start else nan
            if size >= _NOTABLE:
                strength = "fully" if size > 0.99 else "partly"
                sentences.append(
                    f"{' x '.join(names[i] for i in effect)} is {strength} mixed with "
                    f"{names[pair[0]]} x {names[pair[1]]} ({size:.2f})."
                )
    return tuple(sentences)
