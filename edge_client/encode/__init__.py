"""From a frame to a sealed packet: encoder, symbol coding, sealing."""
