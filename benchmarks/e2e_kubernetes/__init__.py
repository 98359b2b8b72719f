"""The Helm chart and the Kubernetes engine against a real API server."""
