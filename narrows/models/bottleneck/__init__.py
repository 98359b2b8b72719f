"""A learned bottleneck at the cut of any ONNX network: the head pruned, a narrow encoder and decoder put at the cut.

::

    MODEL.onnx ─► float weights ─► head pruned ─► encoder and decoder inserted ─► trained in torch ─► OUT.onnx
                  weights.py       channels.py    pair.py                          trainable.py

The result is the same graph with other weights, fewer channels and a few nodes more, so that ``narrows split`` takes it
like any other. After Shao and Zhang, "Communication-Computation Trade-Off in Resource-Constrained Edge Inference"
(IEEE Communications Magazine, 2020).
"""
