"""Handlers of RPCs, a module per topic; a new module here is found by itself."""
