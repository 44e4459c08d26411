"""The Streamlit dashboard: thin pages over `experiments`, `stats` and `reports`."""
