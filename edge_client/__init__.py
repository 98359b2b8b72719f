"""The program beside the camera: pictures in, a few kilobytes of symbols a frame out.

``pipeline.py`` is the life of a frame, ``program.py`` makes its stages; every other file is one of them.
"""
