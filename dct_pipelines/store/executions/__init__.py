"""Executions and what belongs to them: attempts, results of actions, leases.

Belongs here: their rows, and the one module that changes states (`transitions`).
Does not belong here: when something is tried again, or who may take an attempt over; the engine decides that.
"""

from sqlalchemy import Connection

__all__ = ["Connection"]
