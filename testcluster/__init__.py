"""A real Kubernetes control plane for tests, from programs built out of their Go modules, without containers.

`ControlPlane` (control_plane.py) starts and stops one; `python -m testcluster up` keeps one running for a person.
"""
