"""What every program needs to run: Redis, logging, HTTP, clocks, backoff, configuration. Knows no program."""
