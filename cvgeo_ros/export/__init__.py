"""The network as files for other runtimes: in branches, as ONNX or torch.export programs, compared."""
