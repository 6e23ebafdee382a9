"""What others have in the database that hangs on our schemas, and what they may do with them.

A restore puts other tables in the place of ours. Who reads ours by a view of their own would lose it with
them, and whoever was granted something would not have it on the new ones: no backup knows of either.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from dct_pipelines.domain.backups import Dependant, Grant

_DEPENDANTS = text("""
WITH RECURSIVE going (classid, objid, part) AS (
    SELECT 'pg_catalog.pg_namespace'::regclass::oid, oid, 0 FROM pg_namespace WHERE nspname = ANY(:places)
    UNION
    SELECT next.* FROM going AS g CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid FROM pg_depend AS d
        WHERE d.refclassid = g.classid AND d.refobjid = g.objid AND g.part IN (0, d.refobjsubid)
        UNION ALL
        SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend AS d
        WHERE d.classid = g.classid AND d.objid = g.objid AND d.deptype = 'i'
    ) AS next
),
outside AS (
    SELECT g.*, found.type, found.identity FROM going AS g
    CROSS JOIN LATERAL pg_identify_object(g.classid, g.objid, g.part) AS found
    CROSS JOIN LATERAL pg_identify_object_as_address(g.classid, g.objid, g.part) AS address
    WHERE found.type <> 'default acl' AND COALESCE(found.schema, '') <> 'pg_toast' AND (
        found.type LIKE 'publication%' OR NOT COALESCE(found.schema, address.object_names[1]) = ANY(:places)
    )
)
SELECT o.type || ' ' || o.identity AS name, pg_get_userbyid(c.relowner)::text AS owner
FROM outside AS o
LEFT JOIN pg_class AS c ON o.classid = 'pg_catalog.pg_class'::regclass AND c.oid = o.objid
WHERE NOT EXISTS (
    SELECT FROM pg_depend AS d JOIN outside AS whole ON whole.classid = d.refclassid
        AND whole.objid = d.refobjid AND whole.part IN (0, d.refobjsubid)
    WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('i', 'a')
)
ORDER BY 1
""")
"""All that a `DROP SCHEMA ... CASCADE` would take along, but what lies in the schemas themselves.

What is a part of something (the rule of a view, an index, the trigger of a foreign key) is not named beside
it.
"""
_GRANTS = text("""
WITH ours AS (SELECT * FROM pg_namespace WHERE nspname = ANY(:places)),
tables AS (
    SELECT c.*, n.nspname FROM pg_class AS c JOIN ours AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
),
granted AS (
    SELECT 'SCHEMA' AS kind, n.nspname, NULL::text AS name, NULL::text AS part, n.nspowner AS owner,
        false AS is_partition, a.*
    FROM ours AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
    UNION ALL
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, quote_ident(relname), NULL,
        relowner, relispartition, a.*
    FROM tables CROSS JOIN LATERAL aclexplode(relacl) AS a
    UNION ALL
    SELECT 'TABLE', t.nspname, quote_ident(t.relname), quote_ident(p.attname), t.relowner,
        t.relispartition, a.*
    FROM tables AS t JOIN pg_attribute AS p ON p.attrelid = t.oid AND NOT p.attisdropped
    CROSS JOIN LATERAL aclexplode(p.attacl) AS a
    UNION ALL
    SELECT 'DEFAULT', n.nspname, quote_ident(pg_get_userbyid(d.defaclrole)),
        CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' ELSE '' END, d.defaclrole,
        false, a.*
    FROM pg_default_acl AS d JOIN ours AS n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
    WHERE d.defaclobjtype IN ('r', 'S')
)
SELECT kind, nspname AS schema, name, part, array_agg(privilege_type ORDER BY privilege_type) AS privileges,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
    is_grantable AS may_grant, is_partition
FROM granted WHERE grantee <> owner
GROUP BY kind, nspname, name, part, grantee, is_grantable, is_partition
ORDER BY nspname, kind, name, part, grantee, is_grantable
""")
_IS_THERE = {
    "SCHEMA": text("SELECT to_regnamespace(:schema) IS NOT NULL"),
    "DEFAULT": text("SELECT pg_has_role(to_regrole(:name), 'USAGE')"),
    "TABLE": text("""
        SELECT to_regclass(:name) IS NOT NULL AND (:part IS NULL OR EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = to_regclass(:name) AND quote_ident(attname) = :part AND NOT attisdropped
        ))"""),
    "SEQUENCE": text("SELECT to_regclass(:name) IS NOT NULL"),
}
_MAY_ROLE = text("SELECT :grantee = 'PUBLIC' OR to_regrole(:grantee) IS NOT NULL")


def dependants(connection: Connection, places: Sequence[str]) -> tuple[Dependant, ...]:
    """What lies outside of these schemas and would go with them."""
    rows = connection.execute(_DEPENDANTS, {"places": list(places)}).all()
    return tuple(Dependant(name=row.name, owner=row.owner) for row in rows)


def grants(connection: Connection, places: Sequence[str], suffix: str = "") -> tuple[Grant, ...]:
    """What others than their owners may do with these schemas and what is in them.

    A suffix of the schemas' names is left out: they are called without it again.
    """
    rows = connection.execute(_GRANTS, {"places": list(places)}).all()
    plain = (dict(row._mapping) | {"schema_name": row.schema.removesuffix(suffix)} for row in rows)
    return tuple(Grant(**{name: value for name, value in one.items() if name != "schema"}) for one in plain)


def give_back(connection: Connection, granted: Sequence[Grant]) -> list[Grant]:
    """Grant all of it again; what is returned could not be: it speaks of what is not there any more.

    Months come and go, so that nobody is told of those: who reads their table needs nothing on them.
    """
    lost = []
    for one in granted:
        name = f"{one.schema_name}.{one.name}" if one.kind in ("TABLE", "SEQUENCE") else one.name
        asked = {"schema": one.schema_name, "name": name, "part": one.part}
        is_there = connection.scalar(_IS_THERE[one.kind], asked)
        if is_there and connection.scalar(_MAY_ROLE, {"grantee": one.grantee}):
            connection.execute(text(_statement(one)))
        elif not one.is_partition:
            lost.append(one)
    return lost


def _statement(one: Grant) -> str:
    """All names in it are quoted by the database that gave them."""
    part = f" ({one.part})" if one.part and one.kind == "TABLE" else ""
    privileges = ", ".join(f"{privilege}{part}" for privilege in one.privileges)
    option = " WITH GRANT OPTION" if one.may_grant else ""
    to = f"TO {one.grantee}{option}"
    match one.kind:
        case "DEFAULT":
            whose = f"ALTER DEFAULT PRIVILEGES FOR ROLE {one.name} IN SCHEMA {one.schema_name}"
            return f"{whose} GRANT {privileges} ON {one.part} {to}"
        case "SCHEMA":
            return f"GRANT {privileges} ON SCHEMA {one.schema_name} {to}"
        case _:
            return f"GRANT {privileges} ON {one.kind} {one.schema_name}.{one.name} {to}"
