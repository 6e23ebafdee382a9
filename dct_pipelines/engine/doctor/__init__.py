"""The doctor: looks at everything once, changes nothing, and says how to mend what is wrong.

Belongs here: one file a theme, each a function that yields what it found; what makes a finding a failure.
Does not belong here: SQL (store/examining.py), and how findings are shown. A theme that cannot be looked at
is a finding itself, and the others go on.
"""

from dct_pipelines.engine.doctor.examination import Examination, Patient

__all__ = ["Examination", "Patient"]
