"""The Streamlit dashboard: thin pages over `experiments`, `stats` and `reports`."""

from bakeoff.app._serve import serve

__all__ = ["serve"]
