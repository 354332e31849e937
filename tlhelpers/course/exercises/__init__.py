"""The exercises: a file for each notebook, a function for each exercise."""


def unlike(answer: float, mistakes: dict[float, str], tolerance: float = 1e-6) -> None:
    """Fail with the hint of the typical wrong number that the answer is."""
    for number, hint in mistakes.items():
        assert abs(answer - number) > tolerance, hint
