"""RUN/ARM, as a study's files and its outcome name an arm."""


def split_arm_ref(reference: str) -> tuple[str, str]:
    """(run, arm); the arm is empty where there is none."""
    run, _, arm = reference.partition("/")
    return run, arm
