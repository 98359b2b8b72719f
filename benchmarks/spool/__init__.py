"""The spool's files beside SQLite in WAL mode."""
