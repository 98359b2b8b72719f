"""Where models are made and judged: data, networks, training, export, evaluation. The only place with torch."""
