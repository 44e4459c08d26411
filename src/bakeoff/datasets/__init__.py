"""Items, loaders, content versions, splits and the bundled data sets."""

from bakeoff.datasets._bundled import bundled_datasets, bundled_file
from bakeoff.datasets._dataset import Dataset, read_dataset
from bakeoff.datasets._item import Item
from bakeoff.datasets._open import open_dataset
from bakeoff.datasets._spec import DatasetSpec, SplitSpec

__all__ = [
    "Dataset",
    "DatasetSpec",
    "Item",
    "SplitSpec",
    "bundled_datasets",
    "bundled_file",
    "open_dataset",
    "read_dataset",
]
