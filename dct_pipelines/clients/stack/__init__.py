"""The long-lived processes of `dct up`: starting, watching, restarting and ending them, and their addresses.

Belongs here: sockets, processes, locks and the files by which processes of one home find each other.
Does not belong here: which services there are and what their arguments mean (cli decides).
"""
