"""The figures of the metric tables in plain Python, from what their columns say, never from the statements.

A module a table or two; each function takes a history, its moments in UTC, and gives every row that there
has to be: by bucket and keys, with the columns that can be told beforehand.
"""
