"""TensorRT engines for the models of a repository, built where they run: inside the Triton container.

Of the standard library alone, since nothing of ours is installed there: ``python3 -m orchestrator.engine_build``.
"""
