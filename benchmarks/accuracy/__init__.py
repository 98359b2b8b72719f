"""How good are the masks at each rate level, and what does the int8 encoder cost?"""
