"""What the cloud's programs say of themselves: metrics, named faults, reports, load against streams."""
