"""What reading a repository means, purely: its bound port, its token, what changed, what has to be assessed.

Belongs here: rules that turn two states of a repository's references into facts.
Does not belong here: calling git (a client), storing (engine), or another provider.
"""
