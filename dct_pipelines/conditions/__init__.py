"""One file a condition type: a pure test of an event and the snapshots around it.

Belongs here: a module with one constant `CONDITION`; its file name is its `kind`. It answers with a verdict
that says why.
Does not belong here: a clock, a file, a network or a database, or knowledge of another condition. The same
event gets the same verdict years later; explanations and simulations rest on that.
"""
