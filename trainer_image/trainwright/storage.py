"""Where URIs lie: files on this machine, in wheels, mounts, buckets and hubs behind one small interface.

In: a URI of the spec. Out: files with a digest of their content, ready to open, or a folder of this machine.
Local files, `pkg://` and `pvc://` are addressed by SHA-256 of their bytes (read each time: a changed file with an old
name, size and time is seen); remote ones by what the store vouches for (ETag, version or commit) and their size.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from trainwright.contract import RunConfig
from trainwright.errors import BadInput, RetryLater, WorkspaceFull

MANIFEST = "manifest.json"
_REMOTE_DIGESTS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5", "blob_id", "version_id", "mtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a source.

    `name` is its path inside the source (stable when the source moves), `digest` changes whenever its content does.
    """

    name: str
    uri: str
    size_bytes: int
    digest: str
    local: Path | None = None

    def open(self) -> BinaryIO:
        """Open for streaming, as stored (not decompressed)."""
        if self.local is not None:
            try:
                return self.local.open("rb")
            except OSError as error:
                raise BadInput(f"{self.local} cannot be read: {error.strerror}") from error
        try:
            return cast("BinaryIO", _filesystem(self.uri).open(self.uri.partition("://")[2], "rb"))
        except Exception as error:
            raise store_error(self.uri, error) from error


def list_files(uri: str, config: RunConfig) -> list[File]:
    """All files a source's URI stands for, sorted by name: a file, a glob, a folder.

    Raises:
        BadInput: nothing matches, the package, mount or folder is unknown, or access is denied.
        RetryLater: the store does not answer.
    """
    if (pattern := local_path(uri, config)) is not None:
        return _local_files(pattern, uri)
    return _remote_files(uri)


def local_path(uri: str, config: RunConfig) -> Path | None:
    """The path (or glob) on this machine a URI stands for; None for remote ones.

    Raises:
        BadInput: `pkg://` names a package that is not installed, `pvc://` a claim without `--mount`.
    """
    scheme, _, rest = uri.partition("://")
    if uri.startswith(("./", "../")):
        return config.base_folder / uri
    if scheme == "file":
        return Path(unquote(rest))
    if scheme == "pkg":
        package, _, inside = rest.partition("/")
        return _package_folder(package) / inside
    if scheme == "pvc":
        claim, _, inside = rest.partition("/")
        if claim not in config.mounts:
            raise BadInput(
                f"{uri}: the claim {claim!r} is not on this machine",
                hint=f"say where it lies: --mount pvc://{claim}=FOLDER",
            )
        return config.mounts[claim] / inside
    return None


def local_folder(uri: str, config: RunConfig, into: Path) -> Path:
    """A file or folder of this machine that holds what `uri` names; remote ones are fetched into `into` once."""
    if (path := local_path(uri, config)) is not None:
        if not path.exists():
            raise BadInput(f"{uri}: {path} does not exist", hint="check the path; ./ is relative to the YAML file")
        return path
    for file in list_files(uri, config):
        target = into / file.name
        if target.exists() and target.stat().st_size == file.size_bytes:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".part")
        with file.open() as source, temporary.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 22)
        temporary.replace(target)
    return into


def deliver(folder: Path, uri: str | None, config: RunConfig) -> str:
    """Copy a finished folder with its manifest.json to the output; an equal manifest there means: delivered already.

    Returns the URI or path it lies at. The manifest goes last: where it is, everything is.
    On this machine the folder appears under its name only when it is whole.
    """
    target = config.folder / "model" if uri is None else local_path(uri, config)
    if target is None:
        return _deliver_remote(folder, cast("str", uri))
    if _is_delivered(folder, target):
        return str(target)
    if target.exists() and not (target / MANIFEST).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise BadInput(
            f"{target} holds something that no run has written, so it is not replaced",
            hint="choose another output.uri, or empty it",
        )
    temporary = target.with_name(f".{target.name}.tmp")
    old = target.with_name(f".{target.name}.old")
    try:
        shutil.rmtree(old, ignore_errors=True)  # of a delivery that was killed
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(folder, temporary, copy_function=_link_or_copy)
        if target.exists():
            target.rename(old)
        temporary.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise WorkspaceFull(
            f"the result cannot be written to {target}: {error.strerror}", hint="make room or choose another output.uri"
        ) from error
    return str(target)


def put_beside(files: Iterable[Path], uri: str, config: RunConfig) -> None:
    """Copy files into an output, over files of the same names; each is there whole or not at all."""
    target = local_path(uri, config)
    for file in files:
        if target is None:
            filesystem = _filesystem(uri)
            filesystem.put_file(str(file), f"{uri.partition('://')[2].rstrip('/')}/{file.name}")
            continue
        target.mkdir(parents=True, exist_ok=True)
        temporary = target / f".{file.name}.tmp"
        shutil.copyfile(file, temporary)
        temporary.replace(target / file.name)


def _local_files(pattern: Path, uri: str) -> list[File]:
    if pattern.is_file():
        root, found = pattern.parent, [pattern]
    elif pattern.is_dir():
        root, found = pattern, [p for p in sorted(pattern.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    else:
        root = Path(_fixed_part(str(pattern.absolute())))
        found = [p for p in sorted(Path("/").glob(str(pattern.absolute())[1:])) if p.is_file()]
    if not found:
        raise BadInput(f"{uri}: no file matches {pattern}", hint="check the path; ./ is relative to the YAML file")
    return [
        File(
            name=str(path.relative_to(root)),
            uri=uri,
            size_bytes=path.stat().st_size,
            digest=_sha256(path, uri),
            local=path,
        )
        for path in found
    ]


def _fixed_part(pattern: str) -> str:
    """The folder before the first glob character."""
    parts = Path(pattern).parts
    fixed = []
    for part in parts:
        if any(mark in part for mark in "*?["):
            break
        fixed.append(part)
    return str(Path(*fixed)) if fixed else "."


def _sha256(path: Path, uri: str) -> str:
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{uri}: {path} cannot be read: {error.strerror}", hint="check its permissions") from error


def _package_folder(package: str) -> Path:
    """Where an installed package lies, found without importing it: a data wheel may need what is not installed."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f"pkg://{package}: no Python package of this name is installed",
            hint="install it into the environment that runs trainwright (pip install …)",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _filesystem(uri: str) -> Any:
    import fsspec

    scheme = uri.partition("://")[0]
    try:
        return fsspec.filesystem({"az": "abfs"}.get(scheme, scheme))
    except (ImportError, ValueError) as error:
        raise BadInput(f"{uri}: reading {scheme}:// needs a package that is not installed ({error})") from error


def _remote_files(uri: str) -> list[File]:
    filesystem = _filesystem(uri)
    path = uri.partition("://")[2]
    try:
        found = dict(_remote_entries(filesystem, path))
    except PermissionError as error:
        raise BadInput(f"{uri}: access is denied", hint=_access_hint(uri)) from error
    except Exception as error:
        raise store_error(uri, error) from error
    if not found:
        raise BadInput(f"{uri}: nothing is there", hint="check the name and the revision")
    root = _fixed_part(path) if any(mark in path for mark in "*?[") else path
    scheme = uri.partition("://")[0]
    return [
        File(
            name=os.path.relpath(name, root) if name != root else name.rsplit("/", 1)[-1],
            uri=f"{scheme}://{name}",
            size_bytes=int(info.get("size") or 0),
            digest=_vouched(info),
        )
        for name, info in sorted(found.items())
    ]


def _remote_entries(filesystem: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if any(mark in path for mark in "*?["):
        entries = filesystem.glob(path, detail=True)
    else:
        entries = filesystem.find(path, detail=True)
    for name, info in entries.items():
        if info.get("type", "file") == "file":
            yield name, info


def _vouched(info: dict[str, Any]) -> str:
    value = next((info[key] for key in _REMOTE_DIGESTS if info.get(key)), None)
    return f"{value or info.get('name')}:{info.get('size')}"


def _access_hint(uri: str) -> str:
    if uri.startswith("hf://"):
        return "accept the licence on its page and set HF_TOKEN to a token that may read it"
    return "set the credentials of this store in your environment (for s3://: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"


def store_error(uri: str, error: Exception) -> BadInput | RetryLater:
    """What an error of a remote store means for the user: no access, nothing there, or a passing fault."""
    name, text = type(error).__name__, str(error).splitlines()[0][:200] if str(error) else ""
    if "Gated" in name or "401" in text or "403" in text or "Unauthorized" in text or "NoCredentials" in name:
        return BadInput(f"{uri}: access is denied", hint=_access_hint(uri))
    if "NotFound" in name or "404" in text:
        token = "; a private one needs HF_TOKEN" if uri.startswith("hf://") else ""
        return BadInput(f"{uri}: nothing is there", hint=f"check the name and the revision{token}")
    return RetryLater(f"{uri}: the store does not answer ({name}: {text})", hint="check the network and try again")


def _link_or_copy(source: str, target: str) -> str:
    """A hard link costs no room; a file is never changed after it was published, so sharing it is safe."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _is_delivered(folder: Path, target: Path) -> bool:
    """Whether the same manifest lies there with all of its files, whole by their sizes."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
        files = json.loads(manifest)["files"]
        same = (target / MANIFEST).read_bytes() == manifest
        return same and all((target / name).stat().st_size == file["bytes"] for name, file in files.items())
    except OSError:
        return False


def _deliver_remote(folder: Path, uri: str) -> str:
    filesystem = _filesystem(uri)
    root = uri.partition("://")[2].rstrip("/")
    manifest = (folder / MANIFEST).read_bytes()
    try:
        if filesystem.exists(f"{root}/{MANIFEST}") and json.loads(
            filesystem.cat_file(f"{root}/{MANIFEST}")
        ) == json.loads(manifest):
            return uri
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
            filesystem.put_file(str(path), f"{root}/{path.relative_to(folder)}")
        filesystem.put_file(str(folder / MANIFEST), f"{root}/{MANIFEST}")
    except PermissionError as error:
        raise BadInput(f"{uri}: writing is denied", hint=_access_hint(uri)) from error
    except Exception as error:
        raise store_error(uri, error) from error
    return uri
