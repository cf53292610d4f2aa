"""A file that is not what it should be."""


class Damaged(OSError):
    """A file is not what its name says, or ends too early; reading it again would not help.

    Args:
        words: What is wrong with it.
        rest: The bytes before the damage that are no whole message.
    """

    def __init__(self, words: str, rest: bytes = b"") -> None:
        super().__init__(words)
        self.rest = rest
