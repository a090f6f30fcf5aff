"""`kqlite status`: what an inventory says of itself, on a screen and to a program."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from kqlite.cli.main import main
from kqlite.cli.status import as_json, as_text
from kqlite.directory.lock import Holder
from kqlite.inventory.sample.generate import write_sample
from kqlite.stats import FeedStats, Percentiles, Stats, TypeSize, from_json

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIVE = Stats(
    snapshot_time=NOON,
    watermark=NOON - timedelta(seconds=31),
    sequence=1204,
    types=(
        TypeSize("resources", "microsoft.compute/virtualmachines", 1_234_567, 3 * 2**30),
        TypeSize("resourcecontainers", "microsoft.resources/subscriptions", 2, 700),
    ),
    feed=FeedStats(1310, 106, Percentiles(*(timedelta(seconds=n) for n in (12.04, 31.5, 55, 58))), 1120.25, NOON - timedelta(minutes=5)),
    holder=Holder(1234, "kqlite simulate", NOON - timedelta(minutes=12)),
)
BARE = Stats(NOON, None, None, ())


def test_a_live_inventory_on_a_screen():
    assert as_text(LIVE, NOON).splitlines() == [
        "held by     kqlite simulate, process 1234, for 12 min",
        "watermark   2026-03-01 11:59:29Z, 31 s old",
        "changes     up to 1,204 of 1,310, 106 to come; 1,120.2 a second",
        "lag         median 12.0 s, 90 % 31.5 s, 99 % 55.0 s, longest 58.0 s",
        "last crawl  2026-03-01 11:55:00Z, 5 min ago",
        "",
        "table               type                                    rows     size",
        "resources           microsoft.compute/virtualmachines  1,234,567  3.0 GiB",
        "resourcecontainers  microsoft.resources/subscriptions          2    700 B",
        "                    in all                             1,234,569  3.0 GiB",
    ]


def test_what_is_not_known_is_left_out():
    assert as_text(BARE) == "held by     nobody"
    fresh = Stats(NOON, NOON, 0, (), FeedStats(0, 0, None, 0.0, None))
    assert as_text(fresh, NOON).splitlines()[2:] == ["changes     up to 0 of 0, 0 to come; 0.0 a second", "last crawl  none"]
    rested = Stats(NOON, NOON, 7, (TypeSize("resources", "t", 1, None),))
    assert as_text(rested, NOON).splitlines()[2:] == [
        "changes     up to 7",
        "",
        "table      type    rows  size",
        "resources  t          1",
        "           in all     1",
    ]


def test_a_program_reads_the_same():
    for stats in (LIVE, BARE):
        assert from_json(json.loads(as_json(stats))) == stats
    document = json.loads(as_json(LIVE))
    assert document["lagSeconds"] == 31
    assert document["holder"] == {"pid": 1234, "command": "kqlite simulate", "since": "2026-03-01T11:48:00+00:00"}
    assert document["feed"]["lagsSeconds"]["p99"] == 55


def test_the_command_on_a_directory_that_nobody_holds(tmp_path, capsys):
    write_sample(tmp_path / "i", 50, 1, lambda done, total: None)
    assert main(["status", str(tmp_path / "i")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "held by     nobody"
    assert "microsoft.compute/virtualmachines" in "".join(lines)
    assert main(["status", str(tmp_path / "i"), "--format", "json"]) == 0
    stats = from_json(json.loads(capsys.readouterr().out))
    assert {size.rows for size in stats.types if size.type == "microsoft.compute/virtualmachines"} == {50}


def test_the_command_says_what_is_no_data_directory(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 1
    assert "not a data directory" in capsys.readouterr().err


def test_help_names_the_command():
    shown = subprocess.run([sys.executable, "-m", "kqlite", "--help"], capture_output=True, text=True, check=True).stdout
    assert "status" in shown
