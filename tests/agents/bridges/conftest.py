"""The scripts run in another environment: importing them here would fail."""

collect_ignore_glob = ["check_*.py", "server.py", "support_check.py"]
