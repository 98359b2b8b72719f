"""What a stream takes of Redis' memory, of the uplink and of the cores."""
