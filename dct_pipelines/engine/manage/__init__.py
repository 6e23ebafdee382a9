"""Managing definitions: apply a set of manifests, pause, resume, delete; list, show and export."""

from dct_pipelines.engine.manage.catalog import Catalog, Looked
from dct_pipelines.engine.manage.history import History
from dct_pipelines.engine.manage.manager import DEFAULT_SET, Manager, Wanted
from dct_pipelines.engine.manage.plan import Change, Verb
from dct_pipelines.engine.manage.probe import ClientProbe, Probe
from dct_pipelines.engine.manage.report import ApplyReport

__all__ = [
    "DEFAULT_SET",
    "ApplyReport",
    "Catalog",
    "Change",
    "ClientProbe",
    "History",
    "Looked",
    "Manager",
    "Probe",
    "Verb",
    "Wanted",
]
