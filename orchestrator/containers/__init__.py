"""Containers as the Docker engine describes them: shared by the autoscaler and by the proxy before the socket."""
