"""Regression: baselines, gates, schedules, monitoring, and runs made elsewhere."""
