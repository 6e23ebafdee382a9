"""A pool of forked workers behind a private socket. It knows processes and lines of JSON, not Dagster.

A *zygote* is one process with one thread that has loaded what its workers need. It forks them, so that each
begins warm and shares the zygote's memory; hands each one launch at a time; and knows of each launch that it
took whether it waits, works, or how it ended. Who calls it may die and come back, and may ask twice.

Belongs here: the zygote's loop (`zygote`), what it decides (`roster`, pure), what it is asked
(`reception`) and told (`signals`), its connections (`lines`, `door`) and forks (`nursery`); the worker's
side (`worker`); the caller's side (`caller`); what both say (`launch`); the marks that workers leave on
the disk (`marks`), by which the next zygote looks after those that outlived theirs (`orphans`). Does not
belong here: what a launch does.
"""
