"""Breaks one guarantee on purpose, inside the database, so that the crash test can prove that it can fail."""

from __future__ import annotations

from sqlalchemy import text

from dct_pipelines.store.database import Database

BREAKS = {
    "loss": (
        "one execution in ten is silently not stored",
        """
        CREATE FUNCTION dct.sabotage() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF random() < 0.1 THEN RETURN NULL; END IF; RETURN NEW; END $$;
        CREATE TRIGGER sabotage BEFORE INSERT ON dct.trigger_executions
        FOR EACH ROW EXECUTE FUNCTION dct.sabotage();
        """,
    ),
    "double": (
        "one execution in ten is stored a second time, as if its event had fired twice",
        """
        CREATE FUNCTION dct.sabotage() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE columns text;
        BEGIN IF pg_trigger_depth() = 1 AND random() < 0.1 THEN
          SELECT string_agg(column_name, ', ') INTO columns FROM information_schema.columns
          WHERE table_schema = 'dct' AND table_name = 'trigger_executions' AND is_generated = 'NEVER';
          NEW.id := gen_random_uuid();
          EXECUTE format(
            'INSERT INTO dct.trigger_executions (%1$s) SELECT %1$s FROM (SELECT ($1).*) AS made', columns
          ) USING NEW;
        END IF;
        RETURN NULL; END $$;
        CREATE TRIGGER sabotage AFTER INSERT ON dct.trigger_executions
        FOR EACH ROW EXECUTE FUNCTION dct.sabotage();
        """,
    ),
}


def sabotage(database: Database, name: str) -> str:
    """Install the break; returns what it breaks, in words."""
    words, statements = BREAKS[name]
    with database.begin() as connection:
        connection.execute(text(statements))
    return words
