"""What camera and cloud agree on: packets, symbols, bundles, seals, errors. Imports nothing else of ours."""
