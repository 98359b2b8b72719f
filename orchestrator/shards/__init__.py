"""Shards, as dispatchers and the autoscaler both see them: whose they are, what waits in them, what lies where."""
