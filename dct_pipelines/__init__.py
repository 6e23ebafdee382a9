"""Dynamic Context Triggers: watches where a team works, and starts work when something there changes."""

__version__ = "0.1.0"
