"""What callers are told of an error, by whichever edge."""

from tame_router.errors import ConfigError, DeadlineExceededError, TameError


def for_callers(error: TameError) -> TameError:
    """Give what a caller is told: what the operator set wrongly is none of theirs to mend."""
    if not isinstance(error, ConfigError):
        return error
    return type(error)(
        "a part of this service cannot be used as its operator has set it up;"
        " the operator finds which, and what to do, in the log by the request id",
        metadata=error.metadata,
        retry_after_s=error.retry_after_s,
    )


def timed_out() -> TameError:
    """Give the error that a bare `TimeoutError` stands for."""
    return DeadlineExceededError("the deadline passed before the answer was finished")


def crashed() -> TameError:
    """Give what is told of an error that nobody expected: nothing but where to look."""
    return TameError("an internal error; the operator finds it in the log by its request id")
