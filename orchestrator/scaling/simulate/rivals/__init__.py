"""Other autoscalers, after their public documentation; each sees the same simulated system as ours."""
