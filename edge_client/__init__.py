"""The program beside the camera: pictures in, a few kilobytes of symbols a frame out.

``pipeline.py`` shows a frame's whole way; every other file is one of its stages.
"""
