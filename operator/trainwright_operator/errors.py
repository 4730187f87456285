"""What can go wrong between the operator and the API server, by what to do next.

ApiError
├── NotFound      the object is not there
├── Conflict      somebody else wrote it in between: look again
├── Exists        it is there already
├── Refused       the API server will not have it: its sentence is for the user
└── Unavailable   try again later
LeaseLost         another operator leads: this process must end
"""

from __future__ import annotations


class ApiError(Exception):
    """A request that failed; `status` is HTTP's, `message` the API server's own sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409 on a write with a resourceVersion."""


class Exists(ApiError):
    """409 on a creation."""


class Refused(ApiError):
    """400, 403 or 422: the same request cannot succeed until somebody changes something."""


class Unavailable(ApiError):
    """429, 5xx, or no answer at all."""


class LeaseLost(Exception):
    """The Lease is somebody else's, or could not be renewed in time."""
