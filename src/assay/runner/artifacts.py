"""Artifacts of runs in flight, in a folder that all machines reach: a shared one, or a bucket by any fsspec URL."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import disk
from ..errors import AssayError, ClusterError, Problem
from ..train.task import RUN_LEVELS

_CHUNK = 1 << 22
_SIGN = "Assay is training; this file goes when it ends."

# Without credentials, the packages for S3 and Google would ask a cloud machine's own address for some, wherever this
# one stands. Whoever trains on such machines sets these to "false" and "".
_ASK_NO_MACHINE = {"AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}


@dataclass(frozen=True)
class Artifacts:
    """A place for checkpoints and weights: under ``url``, a folder for each run. Files there are whole or absent.

    Nothing outside that folder is written or removed. Folders are made where a system has such a thing; a bucket, or
    what else stands first in its paths, never is. Folders that a mark needed go with it, once they are empty.

    Every method raises ``ClusterError`` where the place cannot be used, in a sentence.
    """

    url: str

    def put(self, run: str, file: Path) -> None:
        """Copy a run's file there, under its own name."""
        with self._as_cluster_error("written"):
            system, root = self._opened()
            folder = f"{root}/{_plain(run)}"
            temporary = f"{folder}/.{file.name}.{secrets.token_hex(4)}.tmp"
            _made(system, folder)
            with file.open("rb") as source, system.open(temporary, "wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
            system.mv(temporary, f"{folder}/{file.name}")

    def get(self, run: str, file: Path) -> bool:
        """Copy a run's file of this name from there; whether there is one."""
        with self._as_cluster_error("read"):
            system, root = self._opened()
            try:
                source = system.open(f"{root}/{_plain(run)}/{file.name}", "rb")
            except FileNotFoundError:
                return False
            with source, disk.disk_errors(file, "written"):
                disk.make_folders(file, RUN_LEVELS)  # not the store's own, which may have been moved
                with disk.replacing(file) as target:
                    shutil.copyfileobj(source, target, _CHUNK)
            return True

    def remove(self, run: str) -> None:
        """Leave nothing of a run there."""
        with self._as_cluster_error("cleared"):
            system, root = self._opened()
            with contextlib.suppress(FileNotFoundError):
                system.rm(f"{root}/{_plain(run)}", recursive=True)

    def mark(self, name: str) -> None:
        """Leave a sign for other machines, which shows that this one may write there."""
        with self._as_cluster_error("written"):
            system, root = self._opened()
            folders = _made(system, root)
            try:
                with system.open(f"{root}/{name}", "wb") as file:
                    file.write("\n".join([_SIGN, *folders, ""]).encode())
            except BaseException:
                _unmade(system, folders)
                raise

    def unmark(self, name: str) -> None:
        """Take a sign away, with the folders that it was the first to need."""
        with self._as_cluster_error("cleared"):
            system, root = self._opened()
            with contextlib.suppress(FileNotFoundError):
                _, *folders = system.cat_file(f"{root}/{name}").decode().splitlines()
                system.rm_file(f"{root}/{name}")
                _unmade(system, [folder for folder in folders if f"{root}/".startswith(f"{folder}/")])

    def why_not(self, name: str) -> str:
        """Why this machine cannot use the place that another has marked; empty where it can."""
        own = f"{name}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with self._as_cluster_error("read"):
                system, root = self._opened()
                if not system.exists(f"{root}/{name}"):
                    return "it does not see there what the study's machine has written"
            self.mark(own)
            self.unmark(own)
        except AssayError as error:
            return str(error).rstrip(".")
        return ""

    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        for name, value in _ASK_NO_MACHINE.items():
            os.environ.setdefault(name, value)
        system, root = url_to_fs(self.url, use_listings_cache=False)
        return system, str(root).rstrip("/")

    @contextlib.contextmanager
    def _as_cluster_error(self, action: str) -> Iterator[None]:
        try:
            yield
        except AssayError:
            raise
        except Exception as error:  # each protocol's package has errors of its own
            why = " ".join(str(error).split())[:200] or type(error).__name__
            what = f"artifacts at {self.url} cannot be {action} ({why})"
            raise ClusterError(Problem(what, "check the folder, its permissions and your credentials")) from error


def checked(url: str) -> Artifacts:
    """A place for artifacts that this machine can use.

    Raises:
        ClusterError: The URL is none, its protocol or that one's package is missing, or nothing can be written there.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ClusterError(
            Problem("fsspec is not installed", "pip install 'assay[ray]', here and on the cluster")
        ) from None
    protocol = protocol_of(url)
    try:
        url_to_fs(url)
    except ImportError as error:
        what = f"{protocol}:// needs a package that is not installed ({' '.join(str(error).split())})"
        raise ClusterError(Problem(what, "install it here and on the cluster")) from None
    except ValueError as error:
        fix = "s3, gs, abfs, file and others are known"
        raise ClusterError(Problem(f'"{protocol}" is no protocol of fsspec ({error})', fix)) from None
    except Exception as error:
        raise ClusterError(Problem(f"artifacts cannot be kept at {url} ({error})", "check the address")) from None
    place, name = Artifacts(url), f".assay-{secrets.token_hex(4)}"
    place.mark(name)
    place.unmark(name)
    return place


def protocol_of(url: str) -> str:
    """The protocol of a URL of one folder, by its form alone: no host is asked.

    Raises:
        ClusterError: It is no URL, leads elsewhere than it says, or names several places.
    """
    fix = "give one such as s3://bucket/folder, gs://bucket/folder or file:///shared/folder"
    protocol, separator, path = url.partition("://")
    if not (separator and protocol and path.strip("/")):
        raise ClusterError(Problem(f'"{url}" is no URL of a folder', fix))
    if "::" in url:
        raise ClusterError(Problem(f'"{url}" leads through another place', fix))
    if {".", ".."} & set(path.split("/")):
        raise ClusterError(Problem(f'"{url}" has . or .. in its path, and so another folder than it says', fix))
    if wild := sorted(set(path) & set("*?[]#\n\r")):
        raise ClusterError(Problem(f'"{url}" has {" ".join(map(repr, wild))} in its path', "give it without"))
    if protocol in ("file", "local") and not path.startswith("/"):
        what = f'"{url}" names no folder from the root on: "{path.split("/")[0]}" stands where a machine\'s name does'
        raise ClusterError(Problem(what, f"write {protocol}:///{path} for the folder /{path}"))
    if protocol in _READ_ONLY:
        raise ClusterError(Problem(f"{protocol}:// cannot be written", fix))
    return protocol


_READ_ONLY = ("http", "https", "github", "gist", "data", "reference", "zip", "tar", "libarchive")


def _plain(run: str) -> str:
    """A run's name as one folder's."""
    if not run or {"/", "\\"} & set(run) or run in (".", ".."):
        raise ClusterError(Problem(f"{run!r} is no name of a run's folder", "give a run's id"))
    return run


def _made(system: Any, folder: str) -> list[str]:
    """Make a folder, and those above it; those that were not there, the outermost first.

    Object stores have none. What stands first in a path (a bucket, a container, a drive) is never made.
    """
    if _is_object_store(system):
        return []  # s3fs and others would make the bucket
    first = folder.split("/")[0]
    if first and not system.exists(first) and "memory" not in system.protocol:
        raise FileNotFoundError(f"there is no {first}")
    missing: list[str] = []
    above = folder
    while above.strip("/") and not system.exists(above):
        missing.insert(0, above)
        above = above.rpartition("/")[0]
    system.makedirs(folder, exist_ok=True)
    return missing


def _unmade(system: Any, folders: list[str]) -> None:
    """Remove folders that are empty, the innermost first."""
    for folder in reversed(folders):
        try:
            system.rmdir(folder)
        except (OSError, NotImplementedError):
            return


def _is_object_store(system: Any) -> bool:
    protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    return bool(protocols & {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "obs", "cos", "hf"})
