"""Several dispatcher processes of one machine under one supervisor: one address, one scrape, one readiness."""
