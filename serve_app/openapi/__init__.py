"""The OpenAPI description of both applications: ``/openapi.json``.

One module for each group of routes, one for what they share. Bounds come from the code that keeps them
(``serve_app.openapi.bounds``); tests hold paths, parameters, scopes and error codes against the applications.
"""

from __future__ import annotations

from serve_app.openapi.document import add_openapi, document

__all__ = ["add_openapi", "document"]
