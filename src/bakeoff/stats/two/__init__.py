"""Two variants: tests, intervals, effect sizes, equivalence, the verdict; `compare` picks the method."""

from bakeoff.stats.two._compare import compare
from bakeoff.stats.two._decide import decide, smallest_detectable
from bakeoff.stats.two._effect_sizes import (
    cliffs_delta,
    cohen_d,
    cohen_dav,
    cohen_dz,
    cohen_h,
    hedges_g,
    odds_ratio,
    vargha_delaney,
)
from bakeoff.stats.two._equivalence import (
    EquivalenceGoal,
    EquivalenceResult,
    equivalence_of_proportions,
    tost,
    tost_paired_proportions,
    tost_unpaired,
)
from bakeoff.stats.two._exact import permutation_test
from bakeoff.stats.two._paired_binary import (
    McNemarMethod,
    PairedProportionMethod,
    PairedTable,
    mcnemar,
    paired_odds_ratio,
    paired_proportion_difference,
    paired_table,
)
from bakeoff.stats.two._paired_mean import one_sample_t, sign_flip
from bakeoff.stats.two._unpaired import (
    TwoProportionMethod,
    TwoProportionTest,
    proportion_difference,
    two_proportion_test,
    welch,
    welch_test,
)
from bakeoff.stats.two._wilcoxon import hodges_lehmann, wilcoxon

__all__ = [
    "EquivalenceGoal",
    "EquivalenceResult",
    "McNemarMethod",
    "PairedProportionMethod",
    "PairedTable",
    "TwoProportionMethod",
    "TwoProportionTest",
    "cliffs_delta",
    "cohen_d",
    "cohen_dav",
    "cohen_dz",
    "cohen_h",
    "compare",
    "decide",
    "equivalence_of_proportions",
    "hedges_g",
    "hodges_lehmann",
    "mcnemar",
    "odds_ratio",
    "one_sample_t",
    "paired_odds_ratio",
    "paired_proportion_difference",
    "paired_table",
    "permutation_test",
    "proportion_difference",
    "sign_flip",
    "smallest_detectable",
    "tost",
    "tost_paired_proportions",
    "tost_unpaired",
    "two_proportion_test",
    "vargha_delaney",
    "welch",
    "welch_test",
    "wilcoxon",
]
