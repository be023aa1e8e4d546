"""Where things lie on one machine: everything that is written is under one folder, `var/`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[4]
"""The clone that this package is installed from (editable); only meaningful there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The folders under `var`. Nothing is created by asking."""

    var: Path

    def log(self, service: str) -> Path:
        return self.var / "log" / f"{service}.log"

    def data(self, service: str) -> Path:
        return self.var / "data" / service

    def config(self, service: str) -> Path:
        """Folder of the files that are rendered for a service at each start."""
        return self.var / "etc" / service

    @property
    def gateway(self) -> Path:
        """Identities of a secure stack; kept by `down`, by `--wipe` too: devices elsewhere have their bundles."""
        return self.var / "gateway"

    @property
    def secure_mark(self) -> Path:
        """There while the stack runs, or is to run, with identities."""
        return self.run / "secure"

    @property
    def cluster_mark(self) -> Path:
        """There while the stack runs, or is to run, the lake on a Spark cluster."""
        return self.run / "spark-cluster"

    @property
    def run(self) -> Path:
        return self.var / "run"

    def jars(self, name: str) -> Path:
        """`kafka` or `spark`: two class paths that must stay apart. A `var` elsewhere shares those of the clone."""
        own, shared = self.var / "jars" / name, PROJECT_ROOT / "var" / "jars" / name
        return shared if shared.is_dir() and not own.is_dir() else own


def default_var() -> Path:
    """`SMARTCITY_VAR`, else `var` in the clone, else `var` where the command was called."""
    named = os.environ.get("SMARTCITY_VAR")
    if named:
        return Path(named).expanduser().resolve()
    root = PROJECT_ROOT if (PROJECT_ROOT / "constraints.txt").is_file() else Path.cwd()
    return root / "var"
