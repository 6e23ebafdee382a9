"""From YAML to checked definitions: every fault at once, each with its file, line, path and nearest name."""

from dct_pipelines.engine.manifests.check import Checked, check
from dct_pipelines.engine.manifests.faults import Fault, InvalidManifests, ManifestsNotPermitted
from dct_pipelines.engine.manifests.source import Document, read_documents
from dct_pipelines.engine.manifests.world import Manifest, World

__all__ = [
    "Checked",
    "Document",
    "Fault",
    "InvalidManifests",
    "Manifest",
    "ManifestsNotPermitted",
    "World",
    "check",
    "read_documents",
]
