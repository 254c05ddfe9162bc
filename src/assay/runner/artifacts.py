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

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Artifacts:
    """A place for checkpoints and weights: under ``url``, a folder for each run. Files there are whole or absent.

    Every method raises ``ClusterError`` where the place cannot be used, in a sentence.
    """

    url: str

    def put(self, run: str, file: Path) -> None:
        """Copy a run's file there, under its own name."""
        with self._as_cluster_error("written"):
            system, root = self._opened()
            folder = f"{root}/{run}"
            temporary = f"{folder}/.{file.name}.{secrets.token_hex(4)}.tmp"
            system.makedirs(folder, exist_ok=True)
            with file.open("rb") as source, system.open(temporary, "wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
            system.mv(temporary, f"{folder}/{file.name}")

    def get(self, run: str, file: Path) -> bool:
        """Copy a run's file of this name from there; whether there is one."""
        with self._as_cluster_error("read"):
            system, root = self._opened()
            try:
                source = system.open(f"{root}/{run}/{file.name}", "rb")
            except FileNotFoundError:
                return False
            with source, disk.disk_errors(file, "written"):
                file.parent.mkdir(parents=True, exist_ok=True)
                with disk.replacing(file) as target:
                    shutil.copyfileobj(source, target, _CHUNK)
            return True

    def remove(self, run: str) -> None:
        """Leave nothing of a run there."""
        with self._as_cluster_error("cleared"):
            system, root = self._opened()
            with contextlib.suppress(FileNotFoundError):
                system.rm(f"{root}/{run}", recursive=True)

    def mark(self, name: str) -> None:
        """Leave a sign for other machines, which shows that this one may write there."""
        with self._as_cluster_error("written"):
            system, root = self._opened()
            system.makedirs(root, exist_ok=True)
            with system.open(f"{root}/{name}", "wb") as file:
                file.write(b"Assay is training; this file goes when it ends.\n")

    def unmark(self, name: str) -> None:
        with self._as_cluster_error("cleared"):
            system, root = self._opened()
            with contextlib.suppress(FileNotFoundError):
                system.rm(f"{root}/{name}")

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
    protocol, separator, path = url.partition("://")
    if not (separator and protocol and path.strip("/")):
        fix = "give one such as s3://bucket/folder, gs://bucket/folder or file:///shared/folder"
        raise ClusterError(Problem(f'"{url}" is no URL of a folder', fix))
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
