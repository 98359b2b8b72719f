"""What stands between the autoscaler and the Docker socket, and lets through what scaling one service needs.

::

    narrows autoscale ──HTTP──► asked.py (path, query) ─► gate.py (whose, what) ──► Docker socket
                                     │ 403 and why            │ 403 and why

Who holds a Docker socket is root on its host: one container with a mount of ``/`` is enough. This process holds it,
parses nothing of cameras, and never forwards a byte that it was given: every path, query and body that reaches the
engine is put together here.
"""
