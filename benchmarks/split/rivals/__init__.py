"""Other schedulers, after their papers; each sees the same simulated system as ours."""
