"""What a user of the masks imports: subscriptions, palettes and overlays, the registry of streams."""
