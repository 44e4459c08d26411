"""What a careful reader of the results must know beyond the warnings of the analysis itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.app._labels import LabelStore
from bakeoff.app._pairs import is_judge

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore, Manifest, MetricAnalysis

__all__ = ["cautions"]


def cautions(store: LocalStore, manifest: Manifest, metric: MetricAnalysis) -> list[str]:
    """Return cautions on one metric of a run: too few clusters for its intervals, a judge nobody has checked.

    Args:
        store: Where the run and the labels are.
        manifest: The run.
        metric: What is read.
    """
    notes = list(dict.fromkeys(_of_intervals(metric)))
    name = metric.metric
    info = next((m for m in manifest.metrics if name == m.metric or name.startswith(f"{m.metric}.")), None)
    if info is not None and is_judge(info.evaluator) and not _has_labels(store, manifest.run_id):
        notes.append(
            f"{metric.metric} is a model's opinion, and nobody has labelled answers of this run: label some, then "
            f"`bakeoff calibrate {manifest.run_id}` says how far it agrees with people and corrects its means."
        )
    return notes


def _of_intervals(metric: MetricAnalysis) -> list[str]:
    found = [note for c in metric.comparisons for note in c.difference.warnings]
    found += [note for row in metric.scores for note in row.estimate.warnings]
    return [f"{note[0].upper()}{note[1:]}." for note in found if "cluster" in note]


def _has_labels(store: LocalStore, run_id: str) -> bool:
    path = store.paths.control
    if not path.exists():
        return False
    labels = LabelStore(path)
    return any(labels.labels(queue) for queue in labels.queues(run_id))
