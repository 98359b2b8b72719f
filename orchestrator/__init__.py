"""The programs in the cloud: dispatch, inference, supervision. Nothing here imports torch."""
