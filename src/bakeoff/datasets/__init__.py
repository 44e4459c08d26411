"""Items, loaders, content versions, splits and the bundled data sets."""

from bakeoff.datasets._item import Item

__all__ = ["Item"]
