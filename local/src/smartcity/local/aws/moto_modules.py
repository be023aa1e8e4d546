"""moto's modules, imported at their first need: it takes a second.

Never by two threads at the same moment, which then find some of it missing (`KeyError: 'moto.core'`).
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
from typing import Any

import botocore.loaders

from .glue.service import ACCOUNT

_LOCK = threading.Lock()
_WHOLE = "moto.moto_server.werkzeug_app"
"""It imports what all else here is a part of."""


def moto_module(name: str) -> Any:
    """A module of moto, which gets its account number first."""
    with _LOCK:
        os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT
        importlib.import_module(_WHOLE)
        return importlib.import_module(name)


def moto_application() -> Any:
    """The WSGI application of moto's server."""
    server = moto_module(_WHOLE)
    return server.DomainDispatcherApplication(server.create_backend_app)


@functools.cache
def moto_model(service: str) -> Any:
    """botocore's model of a service, as moto's readers and writers want it."""
    model = moto_module("moto.core.model")
    return model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service_name=service)
