"""Any ONNX network, split between camera and cloud: where it can be cut, and what each cut costs."""
