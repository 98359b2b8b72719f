"""How well our scaling policy does beside others, over traces of streams."""
