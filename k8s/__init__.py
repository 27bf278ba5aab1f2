"""The Kubernetes service that helps an unmodified kube-scheduler."""
