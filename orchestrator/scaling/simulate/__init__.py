"""The policy without machines: a trace of streams, a fluid model of servers, and whoever decides.

Ours runs here as it runs in production; the rivals follow their public documentation.
"""
