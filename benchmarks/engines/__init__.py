"""Whether TensorRT's parser and builder take the decoders' graphs: a build on a processor, never a run."""
