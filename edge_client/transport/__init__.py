"""How packets reach Redis: connection, pipelined uplink, outboxes, the server's clock."""
