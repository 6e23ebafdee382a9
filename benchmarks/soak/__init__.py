"""A whole deployment under light load for long: does anything grow, is anything lost?

Belongs here: what is looked at meanwhile, and the judgement on it.
Does not belong here: source, sink and the deployment itself (benchmarks/load).
"""
