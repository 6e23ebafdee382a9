"""Pages, templates and static files for people who do not live in the Dagster UI.

Belongs here: what a person sees, over the same services that the API calls. Static files are vendored.
Does not belong here: authentication (handed in by api), rules or SQL.
"""
