"""What a user writes for each of the peers; each runs in the peers' own environment."""
