"""manifest.json: SHA-256 and size of every file of a deliverable, and the keys of the stages that made it.

It is written last and holds no clock: equal inputs give an equal manifest, so an output that is there already is
recognised.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from trainwright import __version__
from trainwright.artifacts import Inputs, write_json

MANIFEST = "manifest.json"


def write_manifest(folder: Path, inputs: Inputs) -> tuple[str, int]:
    """Make every file readable for all (0644) and list it; the digest of the manifest and the bytes of all files."""
    files: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        path.chmod(0o644)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[str(path.relative_to(folder))] = {"sha256": digest, "bytes": path.stat().st_size}
    lineage = {name: artifact.key for name, artifact in inputs.items()}
    write_json(folder / MANIFEST, {"trainwright": __version__, "files": files, "stages": lineage})
    (folder / MANIFEST).chmod(0o644)
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    return f"sha256:{digest}", sum(file["bytes"] for file in files.values())
