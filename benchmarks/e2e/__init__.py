"""The stack of ``docker-compose.yml`` in real containers, through a day's troubles: ``make e2e``."""
