"""How much to send: goodput, rate control, back-pressure, heat."""
