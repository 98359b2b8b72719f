"""How much of a picture does who reads an open packet get back?"""
