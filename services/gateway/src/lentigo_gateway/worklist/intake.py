"""How an instance gets on the work list: once, and again if something has changed."""

import sqlite3
from typing import Final

from lentigo_gateway.worklist.entries import OPEN, Found

REOPEN: Final = (
    "UPDATE OR IGNORE entries SET state = 'waiting', model_digest = '', answers = NULL, "
    "archived = 0, failures = 0, reason = '', locator = ?, due = ?, changed_at = ? WHERE id = ?"
)
"""Starts an entry anew: its locator, when it is due and changed, seconds since 1970, its number."""


def add_instance(connection: sqlite3.Connection, found: Found, now: float, *, again: bool) -> int:
    """Put an instance on the list; return 1 if it is to be worked on and was not before."""
    uid = (found.sop_instance_uid,)
    if connection.execute("SELECT 1 FROM results WHERE sop_instance_uid = ?", uid).fetchone():
        return 0
    same = connection.execute(
        "SELECT id, state, model_digest FROM entries WHERE sop_instance_uid = ?", uid
    ).fetchall()
    if any(row["state"] in OPEN and not row["model_digest"] for row in same):
        return 0
    finished = ("gone", "refused", "parked") if again else ("gone",)
    for row in same:
        if row["state"] in finished and not (row["state"] == "parked" and row["model_digest"]):
            connection.execute(REOPEN, (found.locator, now, now, row["id"]))
            return 1
    if same and not again:
        return 0
    connection.execute(
        "INSERT OR IGNORE INTO entries (sop_instance_uid, series_instance_uid, "
        "study_instance_uid, locator, state, due, found_at, changed_at) "
        "VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?)",
        (
            found.sop_instance_uid,
            found.series_instance_uid,
            found.study_instance_uid,
            found.locator,
            now,
            now,
            now,
        ),
    )
    return int(connection.execute("SELECT changes()").fetchone()[0])
