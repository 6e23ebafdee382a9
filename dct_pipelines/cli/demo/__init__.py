"""`dct demo`: the whole way of a change on a repository, live, in a deployment of its own.

Belongs here: the stage (a fresh project and repositories), the play (what a developer would do), the show
(what a person sees of it). Does not belong here: anything that only a demo could do.
"""
