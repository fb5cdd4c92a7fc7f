"""The error class for everything that a user can cause."""


class UserError(ValueError):
    """A mistake of the user, told in one sentence: what came, where, what is known, the nearest match.

    The command line prints its text alone and exits with status 2. Any other exception is a bug and shows a traceback.
    """
