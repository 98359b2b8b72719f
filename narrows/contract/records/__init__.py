"""Records that cross between programs as JSON in Redis, beside those in :mod:`narrows.contract.wire`."""
