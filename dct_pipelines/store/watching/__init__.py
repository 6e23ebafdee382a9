"""Repositories of what is watched and seen: connections' health, cursors, timers, events, snapshots.

Functions over a SQLAlchemy `Connection`; the caller owns the transaction. Rules belong to the engine.
"""
