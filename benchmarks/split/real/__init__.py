"""The real stack under a trace: camera programs with a share of a core, a link, Redis, Triton and a dispatcher."""
