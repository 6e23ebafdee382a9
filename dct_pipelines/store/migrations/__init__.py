"""Alembic's revisions of schema `dct`, forward only: the way back is a backup.

Belongs here: one file for each change of the tables, in order, never edited after a release.
Does not belong here: the tables themselves (`store/tables`), or when to migrate (`store/schema.py`).
"""
