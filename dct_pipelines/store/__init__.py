"""The database: tables, repositories, migrations and the embedded PostgreSQL.

Belongs here: every SQL statement of ours, and the only knowledge of SQLAlchemy, psycopg2 and Alembic outside
Dagster's own storage in instance.
Does not belong here: rules. A repository stores and finds; the engine decides, and says where a transaction
ends.
"""
