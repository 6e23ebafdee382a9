"""Random histories of a simulated provider, read by the real client and listener: none lost, none twice.

Twenty histories each by default; `DCT_HISTORIES=200` tries more. What is expected is computed from the
simulated server's own history by the tables of docs/reference/listeners.md, never by our parsers.
"""
