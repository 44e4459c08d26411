"""Many variants, metrics, segments: a declared family, max-t, Dunnett, Tukey, Friedman, the best of many."""

from bakeoff.stats.many._adjust import Correction, adjust
from bakeoff.stats.many._best_of_many import BestMethod, BestOfMany, Shrunken, best_of_many, holdout_split, shrink
from bakeoff.stats.many._family import Family
from bakeoff.stats.many._groups import FriedmanResult, cochran_q, dunnett, friedman, tukey
from bakeoff.stats.many._homogeneity import chi_square_homogeneity
from bakeoff.stats.many._max_t import ManyComparisons, NamedDifference, TiedSet, max_t, tied_set

__all__ = [
    "BestMethod",
    "BestOfMany",
    "Correction",
    "Family",
    "FriedmanResult",
    "ManyComparisons",
    "NamedDifference",
    "Shrunken",
    "TiedSet",
    "adjust",
    "best_of_many",
    "chi_square_homogeneity",
    "cochran_q",
    "dunnett",
    "friedman",
    "holdout_split",
    "max_t",
    "shrink",
    "tied_set",
    "tukey",
]
