"""Schema `metrics`: what each table shows, and the one statement that computes it from the facts.

A module a table. Each says its columns as a `MetricTable` and selects them; `refreshing` puts the rows in
their place. Who shows numbers reads these tables, or reuses these statements: they stand nowhere else.
"""
