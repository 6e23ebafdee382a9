"""Processor time of a whole tree of real processes, also of those that detached themselves and have ended."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.load.ground import SOURCE

pytestmark = pytest.mark.integration

SPIN_SECONDS = 0.3
MEASURE = f"""
import json, subprocess, sys, time
from benchmarks.load.tree import Tree, spent

SPIN = "import time\\nwhile time.process_time() < {SPIN_SECONDS}: pass"
START = "subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
apart = subprocess.Popen([sys.executable, "-c", SPIN + "\\nimport time; time.sleep(600)"])
tree = Tree(apart=[apart.pid])
before = tree.sample()
subprocess.run([sys.executable, "-c", "import subprocess, sys; " + START, SPIN], check=True)
seen = set()
while processes := tree.sample().processes:
    seen |= {{process.pid for process in processes.values()}}
    time.sleep(0.01)
found = spent(before, tree.sample())
HOLD = "import sys, time; held = [open(sys.executable) for _ in range(5)]; print(1, flush=True)"
HOLD += "; time.sleep(600)"
holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
holder.stdout.readline()
held = {{"counts": sum(tree.counts().values()), "files": sum(tree.files().values())}}
holder.kill()
holder.wait()
apart.kill()
apart.wait()
print(json.dumps({{"seen": len(seen), "sees_apart": apart.pid in seen, "spent": found, **held}}))
"""


def test_an_orphan_stays_in_the_tree_and_its_time_is_counted_when_it_has_ended():
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True, cwd=SOURCE, timeout=60
    )
    found = json.loads(done.stdout)
    assert found["seen"]
    assert not found["sees_apart"]
    assert found["counts"] == 1
    assert found["files"] >= 5
    # The spinner itself, and the starts of two interpreters.
    assert SPIN_SECONDS <= sum(found["spent"].values()) < SPIN_SECONDS + 2
