"""How fast and how small is the symbol coder, beside what else there is?"""
