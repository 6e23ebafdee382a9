"""Repositories of what people define: connections, items, environments, suites, channels, drafts, triggers,
and of who they are and what they changed.

Functions over a SQLAlchemy `Connection`; the caller owns the transaction, and holds the order's lock when it
writes. Rules belong to the engine.
"""

from sqlalchemy import Connection

__all__ = ["Connection"]
