"""What a fleet of any size needs, and what becomes of it when a zone is lost: by arithmetic and by simulation."""
