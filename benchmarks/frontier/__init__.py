"""Where features pay: weak cameras that send masks, features, or both, at equal work of camera and cloud."""
