"""One variant: pass rates, means, clustered standard errors, quantiles, bootstrap; `summarize` picks the method."""

from bakeoff.stats.core._mean_fit import ClusterVariance
from bakeoff.stats.one._bootstrap import BootstrapMethod, bootstrap, bootstrap_mean, bootstrap_means
from bakeoff.stats.one._clusters import clustered_mean, design_effect
from bakeoff.stats.one._mean import mean_logit_t, mean_t
from bakeoff.stats.one._proportion import ProportionMethod, agresti_coull, clopper_pearson, jeffreys, proportion, wilson
from bakeoff.stats.one._quantiles import quantile_difference, quantile_interval
from bakeoff.stats.one._side import infer_kind
from bakeoff.stats.one._summarize import SummaryMethod, summarize

__all__ = [
    "BootstrapMethod",
    "ClusterVariance",
    "ProportionMethod",
    "SummaryMethod",
    "agresti_coull",
    "bootstrap",
    "bootstrap_mean",
    "bootstrap_means",
    "clopper_pearson",
    "clustered_mean",
    "design_effect",
    "infer_kind",
    "jeffreys",
    "mean_logit_t",
    "mean_t",
    "proportion",
    "quantile_difference",
    "quantile_interval",
    "summarize",
    "wilson",
]
