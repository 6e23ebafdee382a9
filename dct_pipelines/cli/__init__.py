"""The `dct` command: arguments in, tables or JSON out, documented exit codes.

Belongs here: parsing, one call to the engine or the API, and presentation.
Does not belong here: rules, SQL, or imports that slow `dct --help` down (they stand inside the command).
"""
