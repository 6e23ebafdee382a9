"""The file outbox and the memory of what was sent: whole files, once, and disks that are in the way."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from datetime import UTC, datetime

import pytest

from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.clients.files import create_file, replace_file
from dct_pipelines.clients.outbox import FileOutbox
from dct_pipelines.clients.sent_once import SentOnce, forget_old
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.operations import Notification
from tests.fakes.channels import FakeChannel
from tests.fakes.ports import NOON, FakeClock


def note(key: str = "k1", receiver: str = "qa") -> Notification:
    return Notification(channel="outbox", receiver=receiver, subject="S", text="T", idempotency_key=key)


def test_a_message_is_a_file_for_its_owner_only(tmp_path):
    FileOutbox(tmp_path / "outbox", FakeClock()).send(note())
    path = tmp_path / "outbox/k1.json"
    message = json.loads(path.read_text())
    assert (message["subject"], message["sent_at"]) == ("S", NOON.isoformat())
    assert (path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) == (0, 0)
    assert [file.name for file in path.parent.iterdir()] == ["k1.json"]


def test_a_message_that_a_restore_has_put_aside_is_not_sent_again(tmp_path):
    aside = tmp_path / "outbox.restored"
    aside.mkdir()
    (aside / "k1.json").write_text("{}")
    outbox = FileOutbox(tmp_path / "outbox", FakeClock(), aside=aside)
    assert [outbox.send(note(key)).state for key in ("k1", "k2")] == ["duplicate", "sent"]
    assert [file.name for file in (tmp_path / "outbox").iterdir()] == ["k2.json"]


def test_of_many_who_send_the_same_at_once_one_does(tmp_path):
    outbox = FileOutbox(tmp_path, FakeClock())
    states: list[str] = []
    threads = [threading.Thread(target=lambda: states.append(outbox.send(note()).state)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["duplicate"] * 7 + ["sent"]


@pytest.mark.parametrize("key", ["", "../x", "a/b", "a b", "ü", "x" * 200])
def test_a_key_that_is_no_file_name_is_refused(tmp_path, key):
    with pytest.raises(ActionFailed, match="cannot be the name of a file"):
        FileOutbox(tmp_path, FakeClock()).send(note(key))


def test_a_disk_that_is_in_the_way_is_tried_again(tmp_path):
    (tmp_path / "outbox").write_text("a file")
    with pytest.raises(ActionInterrupted, match="cannot be written"):
        FileOutbox(tmp_path / "outbox", FakeClock()).send(note())


def test_a_failure_is_not_remembered_as_sent(tmp_path):
    channel = FakeChannel(refuses={"qa": ActionInterrupted("away")})
    once = SentOnce(channel, tmp_path)
    with pytest.raises(ActionInterrupted):
        once.send(note())
    channel.refuses.clear()
    assert [once.send(note()).state for _ in range(2)] == ["sent", "duplicate"]


def test_notes_of_what_was_sent_are_forgotten_once_they_are_old_and_nothing_else_is(tmp_path):
    channel = FakeChannel()
    once = SentOnce(channel, tmp_path)
    for key in ("old", "new"):
        once.send(note(key))
    (tmp_path / "letter").write_text("Dear Ann")
    (tmp_path / ".new-ab12_x").write_text("half")
    old = hashlib.sha256(b"old").hexdigest()
    for name in (old, "letter", ".new-ab12_x"):
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    before = datetime(2020, 1, 1, tzinfo=UTC)
    assert forget_old(tmp_path, before, dry_run=True) == 2
    assert (tmp_path / old).exists()
    assert forget_old(tmp_path, before) == 2
    new = hashlib.sha256(b"new").hexdigest()
    assert {path.name for path in tmp_path.iterdir()} == {"letter", new}
    assert forget_old(tmp_path / "nowhere", before) == 0


def test_a_file_is_made_once_and_replaced_as_a_whole(tmp_path):
    path = tmp_path / "x"
    assert create_file(path, b"one")
    assert not create_file(path, b"two")
    assert path.read_bytes() == b"one"
    replace_file(path, b"three")
    assert path.read_bytes() == b"three"
    (tmp_path / "d/e").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "d", b"x")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["d", "x"]


def test_the_clock_is_aware_and_utc():
    offset = SystemClock().now().utcoffset()
    assert offset is not None
    assert not offset
