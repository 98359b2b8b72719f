"""What P packets save: predicted frames between keys, beside keys alone."""
