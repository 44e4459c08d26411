"""A schedule for those who have a scheduler already: crontab, systemd, Kubernetes, GitHub Actions."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from bakeoff.errors import SpecError
from bakeoff.regression._cron import parse_cron

if TYPE_CHECKING:
    from bakeoff.regression._schedules import Schedule

__all__ = ["ScheduleFormat", "print_schedule"]

ScheduleFormat = Literal["crontab", "systemd", "kubernetes", "github"]

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def print_schedule(schedule: Schedule, form: str, *, store: Path, image: str = "python:3.12-slim") -> str:
    """Return a schedule as another scheduler reads it.

    Args:
        schedule: The schedule.
        form: `crontab`, `systemd`, `kubernetes` or `github`.
        store: Folder of the store.
        image: Container image, for Kubernetes.

    Raises:
        SpecError: There is no such form.
    """
    if form not in get_args(ScheduleFormat):
        raise SpecError(f"a schedule can be printed as {', '.join(get_args(ScheduleFormat))}, not as {form!r}")
    makers = {"crontab": _crontab, "systemd": _systemd, "github": _github}
    if form == "kubernetes":
        return _kubernetes(schedule, image)
    return makers[form](schedule, store)


def _command(schedule: Schedule, store: Path) -> str:
    env = schedule.options.get("env_file")
    parts = ["bakeoff", "run", schedule.file, "--quiet", "--store", str(store.resolve())]
    return shlex.join(parts + (["--env-file", str(env)] if env else []))


def _crontab(schedule: Schedule, store: Path) -> str:
    folder = shlex.quote(str(Path(schedule.file).parent))
    # In a crontab % is a newline.
    command = f"cd {folder} && {_command(schedule, store)}".replace("%", "\\%")
    return f"# {schedule.id}\nCRON_TZ={schedule.timezone}\n{schedule.cron} {command}\n"


def _systemd(schedule: Schedule, store: Path) -> str:
    calendars = "\n".join(f"OnCalendar={line} {schedule.timezone}" for line in _calendars(schedule))
    quoted = _command(schedule, store).replace("%", "%%")
    return f"""# bakeoff-{schedule.id}.service
[Unit]
Description=Bakeoff {schedule.id}

[Service]
Type=oneshot
WorkingDirectory={Path(schedule.file).parent}
ExecStart=/usr/bin/env {quoted}

# bakeoff-{schedule.id}.timer
[Unit]
Description=Bakeoff {schedule.id} at {schedule.cron} ({schedule.timezone})

[Timer]
{calendars}
Persistent=true

[Install]
WantedBy=timers.target
"""


def _calendars(schedule: Schedule) -> list[str]:
    """Return OnCalendar expressions; two where cron lets either kind of day be enough."""
    cron = parse_cron(schedule.cron, schedule.timezone)
    clock = f"{_listed(cron.hours, 24, 2)}:{_listed(cron.minutes, 60, 2)}:00"
    months = _listed(cron.months, 12, 2)
    days = _listed(cron.days, 31, 2)
    weekdays = "" if len(cron.weekdays) == 7 else ",".join(_WEEKDAYS[day] for day in sorted(cron.weekdays)) + " "
    if cron.either_day:
        return [f"*-{months}-{days} {clock}", f"{weekdays}*-{months}-* {clock}"]
    return [f"{weekdays}*-{months}-{days} {clock}"]


def _listed(values: frozenset[int], full: int, width: int) -> str:
    return "*" if len(values) == full else ",".join(f"{value:0{width}d}" for value in sorted(values))


def _kubernetes(schedule: Schedule, image: str) -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", schedule.id.lower()).strip("-")[:40]
    file = Path(schedule.file).name
    return f"""apiVersion: batch/v1
kind: CronJob
metadata:
  name: bakeoff-{name}
spec:
  schedule: {json.dumps(schedule.cron)}
  timeZone: {json.dumps(schedule.timezone)}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {int(schedule.misfire_grace_s)}
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: bakeoff
              image: {json.dumps(image)}
              workingDir: /work
              command: ["bakeoff", "run", {json.dumps(file)}, "--quiet", "--store", "/store"]
              envFrom:
                - secretRef: {{name: bakeoff-keys}}
              volumeMounts:
                - {{name: experiment, mountPath: /work}}
                - {{name: store, mountPath: /store}}
          volumes:
            - {{name: experiment, configMap: {{name: bakeoff-{name}}}}}
            - {{name: store, persistentVolumeClaim: {{claimName: bakeoff-store}}}}
"""


def _github(schedule: Schedule, store: Path) -> str:
    note = (
        "" if schedule.timezone == "UTC" else f"  # written for {schedule.timezone}; GitHub reads UTC: shift the hours"
    )
    file = json.dumps(Path(schedule.file).name)
    return f"""name: bakeoff {schedule.id}
on:
  schedule:
    - cron: {json.dumps(schedule.cron)}{note}
  workflow_dispatch:
concurrency: bakeoff-{schedule.id}
permissions:
  contents: read
jobs:
  evaluate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - run: pip install bakeoff
      - uses: actions/cache@v4
        with:
          path: {store.name}
          key: bakeoff-${{{{ github.run_id }}}}
          restore-keys: bakeoff-
      - run: bakeoff run {file} --store {store.name}
        env: {{}}  # keys of the providers, from secrets
"""
