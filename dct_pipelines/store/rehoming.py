"""Paths below the home of the original, which in a restored deployment are paths below its own home.

What operators wrote stays as they wrote it (bases, locations, references to files), and so do sentences about
what was done: they say where that was.
"""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import Connection, text

_HOMES = text("""
SELECT DISTINCT left(path, -length(place)) FROM (
    SELECT directory AS path, '/workspaces/' || id AS place FROM dct.workspaces
    UNION ALL SELECT archive_path, '/archives/' || id || '.tar.gz' FROM dct.workspaces
) AS known
WHERE right(path, length(place)) = place
""")
"""A path that ends with the id of its workspace says with certainty what the home was."""
_WORKSPACES = text("""
UPDATE dct.workspaces SET
    directory = CASE WHEN starts_with(directory, :old) THEN :new || substr(directory, length(:old) + 1)
        ELSE directory END,
    archive_path = CASE WHEN starts_with(archive_path, :old)
        THEN :new || substr(archive_path, length(:old) + 1) ELSE archive_path END
WHERE starts_with(directory, :old) OR starts_with(archive_path, :old)
""")
_RESULTS = text("""
UPDATE dct.action_results SET outputs = replace(outputs::text, :old, :new)::jsonb
WHERE position(:old IN outputs::text) > 0
""")
"""Later actions of an execution that goes on may refer to them."""


def move_home(connection: Connection, home: Path, original: str | None) -> int:
    """Rewrite the paths below the home of the original; how many workspaces had one.

    `original` is what the backup says; where an older release made it, the workspaces themselves say it.
    """
    former = {place for place in (*connection.scalars(_HOMES), original) if place}
    moved = 0
    for place in sorted(former - {str(home)}):
        old, new = f"{place}/", f"{home}/"
        moved += connection.execute(_WORKSPACES, {"old": old, "new": new}).rowcount
        connection.execute(_RESULTS, {"old": _begun(old), "new": _begun(new)})
    return moved


def _begun(path: str) -> str:
    """A JSON text that begins with this path, as PostgreSQL writes it, without its end."""
    return json.dumps(path, ensure_ascii=False)[:-1]
