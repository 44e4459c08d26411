from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, open_store
from bakeoff.regression import (
    Schedule,
    Scheduler,
    add_schedule,
    claim_due,
    finish_firing,
    get_schedule,
    list_firings,
    parse_cron,
    pause_schedule,
    print_schedule,
    remove_schedule,
    renew_lease,
    request_run,
)
from tests.regression.support import passes, recorded

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def said(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%m-%d %H:%M")


# --- cron


@pytest.mark.parametrize(
    ("cron", "zone", "after", "upcoming"),
    [
        ("0 6 * * *", "UTC", "2026-07-01 12:00", ["07-02 06:00", "07-03 06:00"]),
        ("*/20 9-10 * * mon-fri", "UTC", "2026-07-03 10:30", ["07-03 10:40", "07-06 09:00"]),
        ("0 0 1,15 * *", "UTC", "2026-07-01 00:00", ["07-15 00:00", "08-01 00:00"]),
        ("0 0 13 * fri", "UTC", "2026-02-01 00:00", ["02-06 00:00", "02-13 00:00", "02-20 00:00"]),  # either day
        ("0 12 * * 7", "UTC", "2026-07-01 12:00", ["07-05 12:00"]),  # 7 is Sunday, as 0
        ("0 12 * * sun", "UTC", "2026-07-01 12:00", ["07-05 12:00"]),
        ("@monthly", "UTC", "2026-07-01 12:00", ["08-01 00:00"]),
        ("0 0 29 2 *", "UTC", "2026-07-01 12:00", ["02-29 00:00"]),
        # Berlin, 29 March 2026: 02:00 becomes 03:00. 02:30 does not exist: once, at the end of the gap (01:00 UTC).
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 01:00", "03-30 00:30"]),
        # Berlin, 25 October 2026: 03:00 becomes 02:00. 02:30 comes twice: once, the first time (00:30 UTC).
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["10-25 00:30", "10-26 01:30"]),
        # Every real half hour, through both changes.
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25 00:10", ["10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29 00:40", ["03-29 01:00", "03-29 01:30"]),
        ("15 0 * * *", "America/Havana", "2026-03-07 12:00", ["03-08 05:00", "03-09 04:15"]),  # the gap is at midnight
    ],
)
def test_cron(cron: str, zone: str, after: str, upcoming: list[str]) -> None:
    """Expected times worked out by hand from the IANA rules."""
    parsed, moment, found = parse_cron(cron, zone), utc(after), []
    for _ in upcoming:
        moment = parsed.next_after(moment)
        found.append(said(moment))
    assert found == upcoming


@given(
    hour=st.integers(0, 23), minute=st.integers(0, 59),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran", "UTC"]),
    year=st.integers(2000, 2035),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_a_daily_schedule_fires_once_on_every_local_day(hour: int, minute: int, zone: str, year: int) -> None:
    cron = parse_cron(f"{minute} {hour} * * *", zone)
    start = datetime(year, 1, 1, tzinfo=ZoneInfo(zone)).timestamp() - 1
    days = [datetime.fromtimestamp(at, ZoneInfo(zone)).date() for at in cron.between(start, start + 366 * DAY)]
    assert len(days) >= 365
    assert all(later - earlier == timedelta(days=1) for earlier, later in itertools.pairwise(days))


@pytest.mark.parametrize(
    ("cron", "zone", "message"),
    [
        ("0 6 * *", "UTC", "needs five fields"),
        ("0 24 * * *", "UTC", "the hour '24' is not between 0 and 23"),
        ("a * * * *", "UTC", "the minute 'a' is no number"),
        ("0 9-5 * * *", "UTC", "runs backwards"),
        ("0 6 * * *", "Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ("*/0 * * * *", "UTC", "step of the minute '0'"),
    ],
)
def test_wrong_cron(cron: str, zone: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_cron(cron, zone)


def test_a_date_that_never_comes() -> None:
    with pytest.raises(SpecError, match="never fires"):
        parse_cron("0 0 30 2 *").next_after(NOON)


# --- claims


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(recorded({"bot": passes(5, 4)}, name="nightly")))
    return path


@pytest.fixture
def nightly(store: LocalStore, file: Path) -> Schedule:
    return add_schedule(store, file, "0 6 * * *", now=NOON)


def claim(store: LocalStore, now: float, owner: str = "me", **options: Any) -> list[tuple[str, str]]:
    claimed, passed_by = claim_due(store, owner, now=now, **options)
    return [(said(f.due_at), f.state) for f in (*claimed, *passed_by)]


def test_nothing_before_its_time_and_once_after(store: LocalStore, nightly: Schedule) -> None:
    assert said(nightly.next_at or 0) == "07-02 06:00"
    assert claim(store, NOON) == []
    assert claim(store, utc("2026-07-02 06:00")) == [("07-02 06:00", "running")]
    assert claim(store, utc("2026-07-02 06:00"), "other") == []
    assert said(get_schedule(store, "nightly").next_at or 0) == "07-03 06:00"


def test_late_is_made_up_for_within_the_grace_only(store: LocalStore, nightly: Schedule) -> None:
    assert claim(store, utc("2026-07-02 06:59")) == [("07-02 06:00", "running")]
    assert claim(store, utc("2026-07-05 09:00"), lease_s=1e9) == [
        ("07-02 06:00", "running"),  # its lease ran out
        ("07-03 06:00", "missed"), ("07-04 06:00", "missed"), ("07-05 06:00", "missed"),
    ]  # fmt: skip
    assert nightly.misfire_grace_s == 3600


def test_a_clock_that_was_set_back_stops_no_schedule_and_fires_nothing_twice(
    store: LocalStore, nightly: Schedule
) -> None:
    assert claim(store, utc("2026-07-09 06:00")) == [
        ("07-09 06:00", "running"), *((f"07-0{day} 06:00", "missed") for day in range(2, 9)),
    ]  # fmt: skip
    firing = list_firings(store, nightly.id, limit=1)[0]
    back = utc("2026-07-02 05:00")  # the right time, a week earlier
    assert claim(store, back) == []
    assert said(get_schedule(store, "nightly").next_at or 0) == "07-02 06:00"
    assert renew_lease(store, firing, "me", now=back + 30), "who is alive keeps its claim"
    assert claim(store, back + 200, "other") == [("07-09 06:00", "running")], "who is dead has lost it"
    assert claim(store, utc("2026-07-02 06:00"), "other") == [("07-09 06:00", "running")]
    (again, *_), _ = claim_due(store, "me", now=utc("2026-07-02 06:10"))
    assert finish_firing(store, again, "me", state="done")
    for day in range(3, 10):
        assert claim(store, utc(f"2026-07-0{day} 06:00")) == [], "its firing is in the books already"
    assert claim(store, utc("2026-07-10 06:00")) == [("07-10 06:00", "running")]
    asked = request_run(store, "nightly", now=utc("2026-07-02 09:00"))
    assert said(asked.due_at) == "07-02 09:00", "not a later one of the wrong clock"


def test_no_overlap(store: LocalStore, nightly: Schedule) -> None:
    assert claim(store, utc("2026-07-02 06:00"), lease_s=2 * DAY) == [("07-02 06:00", "running")]
    assert claim(store, utc("2026-07-03 06:00")) == [("07-03 06:00", "skipped")]
    assert nightly.id == "nightly"


def test_a_lease_is_kept_lost_and_taken_over(store: LocalStore, nightly: Schedule) -> None:
    at = utc("2026-07-02 06:00")
    (firing,), _ = claim_due(store, "first", now=at, lease_s=60)
    assert renew_lease(store, firing, "first", now=at + 50, lease_s=60)
    assert claim(store, at + 100, "second") == []
    (again,), _ = claim_due(store, "second", now=at + 111)
    assert (again.due_at, again.attempts) == (firing.due_at, 2)
    assert not renew_lease(store, firing, "first", now=at + 112)
    assert not finish_firing(store, firing, "first", state="done")
    assert finish_firing(store, again, "second", state="done", outcome="pass")
    assert nightly.paused is False


def test_a_firing_that_keeps_dying_is_given_up(store: LocalStore, nightly: Schedule) -> None:
    at = utc("2026-07-02 06:00")
    seen = [claim(store, at + 100 * k) for k in range(6)]
    assert seen[:5] == [[("07-02 06:00", "running")]] * 5
    assert seen[5] == [("07-02 06:00", "failed")]
    assert nightly.cron == "0 6 * * *"


def test_pause_run_now_remove(store: LocalStore, nightly: Schedule) -> None:
    pause_schedule(store, "nightly", now=NOON)
    assert claim(store, utc("2026-07-02 06:00")) == []
    pause_schedule(store, "nightly", paused=False, now=utc("2026-07-02 08:00"))
    assert claim(store, utc("2026-07-02 08:00")) == []
    request_run(store, "nightly", now=utc("2026-07-02 09:00"))
    assert claim(store, utc("2026-07-02 09:01")) == [("07-02 09:00", "running")]
    remove_schedule(store, nightly.id)
    with pytest.raises(SpecError, match="no schedule 'nightly'; there are none"):
        get_schedule(store, "nightly")


def test_a_name_is_taken_once(store: LocalStore, nightly: Schedule, file: Path) -> None:
    with pytest.raises(SpecError, match="there is a schedule 'nightly' already"):
        add_schedule(store, file, nightly.cron)


def _claim_in_a_process(root: str, moments: list[float], out: Any, same_clock: Any) -> None:
    store = open_store(root)
    for moment in moments:
        same_clock.wait(timeout=60)  # schedulers share the time of day: neither may run ahead of the other
        claimed, _ = claim_due(store, str(os.getpid()), now=moment, lease_s=1e9)
        for firing in claimed:
            finish_firing(store, firing, str(os.getpid()), state="done")
            out.put(firing.due_at)
    out.put(None)


def test_two_schedulers_never_both_fire(store: LocalStore, file: Path) -> None:
    """Two processes race over sixty times at once; each is claimed by exactly one."""
    add_schedule(store, file, "*/5 * * * *", now=NOON)
    moments = [NOON + 300 * k for k in range(1, 61)]
    context = multiprocessing.get_context("fork")
    queue, barrier = context.Queue(), context.Barrier(2)
    workers = [
        context.Process(target=_claim_in_a_process, args=(str(store.paths.root), moments, queue, barrier))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    found, ended = [], 0
    while ended < 2:
        due = queue.get(timeout=60)
        ended += due is None
        found += [due] if due is not None else []
    for worker in workers:
        worker.join()
    assert sorted(found) == moments


# --- whole runs in processes


def _slow_experiment(folder: Path, log: Path) -> Path:
    (folder / "app.py").write_text(
        textwrap.dedent(f"""
        import time
        def answer(q):
            time.sleep(0.15)
            with open({str(log)!r}, "a") as file:
                file.write(q + "\\n")
            return "yes"
        """)
    )
    spec = recorded({"bot": passes(12, 12)}, name="slow", gate=[{"at_least": 0.5}])
    spec["targets"] = {"bot": {"python": "app.py:answer"}}
    spec["limits"] = {"concurrency": 1}
    path = folder / "slow.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def test_killed_between_firing_and_finishing_nothing_is_lost_or_doubled(store: LocalStore, tmp_path: Path) -> None:
    log = tmp_path / "asked.txt"
    add_schedule(store, _slow_experiment(tmp_path, log), "0 6 * * *", now=NOON)
    at = utc("2026-07-02 06:00")
    (firing,), _ = claim_due(store, "doomed", now=at, lease_s=60)
    command = [sys.executable, "-m", "bakeoff", "schedule", "fire", "slow", "--due", repr(firing.due_at), "--owner",
               "doomed", "--store", str(store.paths.root)]  # fmt: skip
    child = subprocess.Popen(command, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while (not log.exists() or len(log.read_text().split("\n")) < 4) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    asked = len(log.read_text().splitlines())
    assert 0 < asked < 12
    (again,), _ = claim_due(store, "heir", now=time.time() + 120)
    assert again.due_at == firing.due_at
    subprocess.run([*command[:-3], "heir", *command[-2:]], cwd=tmp_path, check=True)
    (only,) = store.runs()
    assert (only.status, only.counts["trials"], only.sessions) == ("complete", 12, 2)
    assert only.tags["schedule"] == "slow"
    questions = log.read_text().splitlines()
    assert len(set(questions)) == 12
    assert len(questions) <= 13  # at most the one that was in flight when it was killed
    done = next(f for f in list_firings(store, "slow", limit=1000) if f.due_at == firing.due_at)
    assert (done.state, done.outcome, done.run_id, done.attempts) == ("done", "pass", only.run_id, 2)


def test_the_scheduler_runs_what_is_asked_for(store: LocalStore, nightly: Schedule) -> None:
    request_run(store, nightly.id)
    lines: list[str] = []
    scheduler = Scheduler(store, say=lines.append)
    assert [firing.reason for firing in scheduler.look()] == ["run-now"]
    scheduler.wait()
    firing = next(entry for entry in list_firings(store, nightly.id, limit=1000) if entry.reason == "run-now")
    assert (firing.state, firing.outcome) == ("done", "complete")
    assert store.manifest(firing.run_id or "").status == "complete"
    assert any("started" in line for line in lines)


def test_a_broken_file_fails_with_its_reason(store: LocalStore, nightly: Schedule, file: Path) -> None:
    file.write_text("name: nightly\n")
    request_run(store, nightly.id)
    scheduler = Scheduler(store)
    scheduler.look()
    scheduler.wait()
    firing = next(entry for entry in list_firings(store, nightly.id, limit=1000) if entry.reason == "run-now")
    assert firing.state == "failed"
    assert "is missing" in firing.message


# --- for other schedulers


def test_printed_for_others(store: LocalStore, file: Path) -> None:
    schedule = add_schedule(store, file, "30 6 * * mon-fri", timezone="Europe/Berlin", now=NOON)
    crontab = print_schedule(schedule, "crontab", store=store.paths.root)
    assert "CRON_TZ=Europe/Berlin\n30 6 * * mon-fri cd " in crontab
    systemd = print_schedule(schedule, "systemd", store=store.paths.root)
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 06:30:00 Europe/Berlin" in systemd
    job = yaml.safe_load(print_schedule(schedule, "kubernetes", store=store.paths.root))
    assert job["kind"] == "CronJob"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert job["spec"]["timeZone"] == "Europe/Berlin"
    workflow = yaml.safe_load(print_schedule(schedule, "github", store=store.paths.root))
    assert workflow[True]["schedule"][0]["cron"] == "30 6 * * mon-fri"  # YAML reads `on` as true
    with pytest.raises(SpecError, match="not as 'windows'"):
        print_schedule(schedule, "windows", store=store.paths.root)
