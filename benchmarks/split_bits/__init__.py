"""What crosses at the cuts of real networks: bytes against accuracy."""
