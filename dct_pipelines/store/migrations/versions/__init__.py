"""The revisions, oldest first by number.

Belongs here: what Alembic runs. Does not belong here: code that the rest of the program imports.
"""
