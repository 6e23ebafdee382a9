"""`python -m benchmarks.crash`: the whole crash test, its progress, and its count. Exit code 1 on a loss."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from benchmarks.crash.count import Count, count
from benchmarks.crash.feed import Feed
from benchmarks.crash.ground import lay
from benchmarks.crash.killer import Killer
from benchmarks.crash.receiver import Receiver
from benchmarks.crash.sabotage import BREAKS, sabotage
from dct_pipelines.cli.supervisor import running
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres

OPEN = "SELECT count(*) FROM dct.trigger_executions WHERE status NOT IN ('completed', 'failed', 'cancelled')"
QUIET_SECONDS = 20
"""Nothing open and nothing new for so long: the stream is drained (a listener's tick is 5 s)."""


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="crash-test", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="processes that are killed; default: 100")
    parser.add_argument("--events", type=int, default=None, help="pushes; default: twice the kills")
    parser.add_argument("--seed", type=int, default=None, help="of the choice of moments and parts")
    parser.add_argument("--break", dest="broken", choices=sorted(BREAKS), help="prove that the test can fail")
    parser.add_argument("--drain-seconds", type=float, default=1800, help="how long the rest may take")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    return parser.parse_args()


def main() -> int:
    """Run it."""
    asked = arguments()
    seed = asked.seed if asked.seed is not None else random.randrange(2**32)
    events = asked.events if asked.events is not None else 2 * asked.kills
    root = Path(tempfile.mkdtemp(prefix="dct-crash-"))
    say(f"crash test in {root}, seed {seed}: {asked.kills} kills, {events} events")
    try:
        with Receiver() as receiver:
            return _run(asked, events, random.Random(seed), root, receiver)
    finally:
        if not asked.keep:
            shutil.rmtree(root, ignore_errors=True)


def _run(
    asked: argparse.Namespace, events: int, chance: random.Random, root: Path, receiver: Receiver
) -> int:
    ground = lay(root, receiver.url)
    server = EmbeddedPostgres(ground.settings.home)
    database = Database(create_engine(server.ensure(), pool_pre_ping=True), None)
    if asked.broken:
        say(f"SABOTAGE: {sabotage(database, asked.broken)}")
    feed = Feed(ground)
    with running(ground.settings, ui=False, say=say) as stack:
        killer = Killer(stack, database, server, chance)
        while len(killer.killed) < asked.kills:
            due = round(events * (len(killer.killed) + 1) / asked.kills)
            feed.push(min(events, due) - len(feed.heads))
            say(f"kill {len(killer.killed) + 1}/{asked.kills}: {killer.kill_one(patience_seconds=10)}")
        feed.push(events - len(feed.heads))
        left = _drain(database, asked.drain_seconds)
        found = count(ground, feed, receiver)
    database.dispose()
    return _report(killer, feed, found, left)


def _drain(database: Database, seconds: float) -> int:
    """Wait until nothing is open any more; returns how many executions still are."""
    until, quiet_since, open_now = time.monotonic() + seconds, None, -1
    while time.monotonic() < until:
        with suppress(DBAPIError), database.connect() as connection:
            before, open_now = open_now, connection.scalar(text(OPEN)) or 0
            if open_now != before:
                say(f"{open_now} executions are open")
        if open_now:
            quiet_since = None
        else:
            quiet_since = quiet_since or time.monotonic()
            if time.monotonic() - quiet_since > QUIET_SECONDS:
                return 0
        time.sleep(1)
    return open_now


def _report(killer: Killer, feed: Feed, found: Count, left: int) -> int:
    for (part, moment), times in sorted(Counter(killer.killed).items()):
        say(f"  {times:3d} × {part}, when: {moment}")
    for line in (*found.lost[:20], *found.doubled[:20]):
        say(f"  {line}")
    if left:
        say(f"  {left} executions were still open at the end")
    say(f"raw repeats: {found.repeated_posts} posts, {found.repeated_deployments} deploy commands")
    say(
        f"kills {len(killer.killed)}, events {len(feed.heads)}, "
        f"lost {len(found.lost)}, doubled {len(found.doubled)}"
    )
    return int(bool(found.lost or found.doubled or left))


def say(line: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
