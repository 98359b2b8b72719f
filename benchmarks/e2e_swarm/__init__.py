"""Docker Swarm's stack on real engines."""
