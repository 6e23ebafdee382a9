"""Wiring: the only place that names concrete clients for ports, and puts the services together.

Belongs here: building, each part on its first use, so that `dct --help` and a run worker pay only for what
they touch; hence the imports inside functions.
Does not belong here: rules, defaults that an operator could want to change (settings), or Dagster, whose
adapter the entry points hand in.
"""

from dct_pipelines.bootstrap.app import App, build
from dct_pipelines.bootstrap.measured import metric_tables
from dct_pipelines.bootstrap.shapes import load_shapes

__all__ = ["App", "build", "load_shapes", "metric_tables"]
