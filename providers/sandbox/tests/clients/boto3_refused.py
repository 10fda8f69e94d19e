"""Calls of boto3 that must be refused."""

from botocore.exceptions import ClientError


def refused(code, call, **options):
    """The message of a call that must be refused with this code."""
    try:
        answer = call(**options)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (options, error)
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused: {options}: {answer}")
