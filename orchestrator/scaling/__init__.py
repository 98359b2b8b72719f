"""How many decoders there are: signals in, decisions with reasons out, actuators at the edge.

A process of its own (``narrows autoscale``): what parses camera bytes never holds a Docker socket.
"""
