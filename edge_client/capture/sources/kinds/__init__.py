"""One file for each kind of source. Each declares a ``KIND``, and is found by being here."""
