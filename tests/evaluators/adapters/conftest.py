"""The scripts run in other environments: importing them here would fail."""

collect_ignore_glob = ["check_*.py", "common.py"]
