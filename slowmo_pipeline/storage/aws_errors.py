"""What AWS's refusals mean, whichever client meets them: the one place that sorts them and says what to do.

Sorted by cause, since the next step hangs on it: an expired token and a clock that is off both end in 403.
"""

from dataclasses import dataclass
from enum import Enum

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NotConnectedError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError, HTTPError)
"""What boto3's clients raise about AWS, its answers and its settings; botocore lets urllib3's own errors through."""


class Cause(Enum):
    """Why a request failed. The value is the sentence for people, with the next step."""

    NO_CREDENTIALS = "There are no AWS credentials for {what} ({said}): set AWS_PROFILE or run `aws configure`."
    CREDENTIALS = (
        "AWS does not take the credentials for {what} ({code}): sign in again (`aws sso login`, AWS_PROFILE or new "
        "AWS_* variables), then run again: nothing done is lost."
    )
    CLOCK = (
        "This machine's clock is too far off for AWS to answer for {what} ({said}): set the clock, then run again: "
        "nothing done is lost."
    )
    PERMISSION = "AWS does not let these credentials use {what}: {grant}. It says: {message}"
    NO_REGION = "There is no AWS region for {what}: set AWS_DEFAULT_REGION, or `region` in the profile."
    OTHER_REGION = "What is asked of {what} lies in another region: set AWS_DEFAULT_REGION to it. AWS says: {said}"
    NO_BUCKET = "The bucket of {what} does not exist: make it, or set SLOWMO_STORAGE to another one."
    BUSY = "{What} is busy or broken: run again later, nothing done is lost. It says: {said}"
    UNREACHABLE = "{What} cannot be reached: run again later, nothing done is lost. ({said})"
    CERTIFICATE = (
        "The certificate of {what} is not trusted ({said}): set AWS_CA_BUNDLE to the certificates of your network."
    )
    SETTINGS = "{What} cannot be asked with these AWS settings: {said}"
    NOT_AWS = "What answers for {what} is not what was expected there: {said}"
    REFUSED = (
        "{refused}: {said}. Correct what it names and run the same command again: it goes on where this one stopped."
    )


_CODES = {
    Cause.CREDENTIALS: frozenset(
        {
            *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken"),
            *("IncompleteSignature", "InvalidSignatureException", "MissingAuthenticationToken", "NotSignedUp"),
            *("SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException"),
        }
    ),
    Cause.CLOCK: frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"}),
    Cause.PERMISSION: frozenset(
        # AuthorizationError is how SNS says it.
        {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthorizationError", "UnauthorizedOperation"}
    ),
    Cause.OTHER_REGION: frozenset(
        {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "Redirect"}
    ),
    Cause.NO_BUCKET: frozenset({"NoSuchBucket"}),
    # Throttling has no code of its own at most services.
    Cause.BUSY: frozenset(
        {
            *("BandwidthLimitExceeded", "ConditionalRequestConflict", "InternalError", "LimitExceededException"),
            *("OperationAborted", "PriorRequestNotComplete", "RequestLimitExceeded", "RequestThrottled"),
            *("RequestThrottledException", "RequestTimeout", "RequestTimeoutException", "SlowDown", "Throttling"),
            *("ThrottledException", "ThrottlingException", "TooManyRequestsException"),
        }
    ),
}
"""Error codes in the spellings of S3 and of the other services."""

_NOT_IMPLEMENTED = 501

_CLOCK_WORDS = ("signature expired", "signature not yet current")
"""How services other than S3 tell a clock that is off, under the codes of a bad signature."""

# Of kinds that are each other's, the narrower first.
_EXCEPTIONS: tuple[tuple[Cause, tuple[type[Exception], ...]], ...] = (
    (Cause.NO_CREDENTIALS, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)),
    (
        Cause.CREDENTIALS,
        (CredentialRetrievalError, LoginError, MetadataRetrievalError, NoAuthTokenError, SSOError, TokenRetrievalError),
    ),
    (Cause.NO_REGION, (NoRegionError,)),
    (Cause.CERTIFICATE, (SSLError,)),
    (Cause.BUSY, (FlexibleChecksumError,)),
    (Cause.UNREACHABLE, (HTTPClientError, NotConnectedError, IncompleteReadError, HTTPError)),
    (Cause.NOT_AWS, (ResponseParserError,)),
    (Cause.SETTINGS, (BotoCoreError,)),
)

GRANT = "let their role have the pipeline's policy of deploy/cloudformation.yaml"
"""What to do about missing permissions, as the end of a sentence."""


@dataclass(frozen=True)
class AwsError:
    """An error of boto3's, sorted."""

    cause: Cause
    code: str
    """AWS's error code; empty for what botocore raises by itself."""
    message: str
    """What AWS or botocore says, on one line."""

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later, with nothing changed."""
        return self.cause in (Cause.BUSY, Cause.UNREACHABLE)

    def sentence(self, what: str, *, refused: str | None = None, grant: str = GRANT) -> str:
        """The error for people: what happened to `what` (a noun: a bucket, an endpoint), and the next step.

        `refused` says who refused which request, where nothing better is known; `grant`, how to get the permission.
        """
        return self.cause.value.format(
            what=what,
            What=_capital(what),
            code=self.code or self.message,
            message=self.message,
            said=": ".join(filter(None, (self.code, self.message))),
            refused=refused or f"{_capital(what)} refused a request",
            grant=grant,
        )


def sorted_out(error: Exception) -> AwsError:
    """What an error of AWS_ERRORS means."""
    if isinstance(error, ClientError):
        return _of_answer(error)
    if type(error) is HTTPClientError:
        # What no line is to blame for: a header or a proxy that cannot be. Its text may hold the header, a token say.
        reason = type(error.kwargs.get("error")).__name__
        return AwsError(Cause.SETTINGS, "", f"no request can be made of them ({reason})")
    cause = next(cause for cause, kinds in _EXCEPTIONS if isinstance(error, kinds))
    return AwsError(cause, "", _line(str(error)))


def _of_answer(error: ClientError) -> AwsError:
    told = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = str(told.get("Code", "")), _line(str(told.get("Message", "")))
    cause = next((cause for cause, codes in _CODES.items() if code in codes), Cause.REFUSED)
    if any(words in message.lower() for words in _CLOCK_WORDS):
        cause = Cause.CLOCK
    elif cause is Cause.REFUSED and status >= 500 and status != _NOT_IMPLEMENTED:
        cause = Cause.BUSY
    elif code in _WITHOUT_A_BODY:
        cause, message = _WITHOUT_A_BODY[code]
    return AwsError(cause, code, message)


# S3 answers a HEAD without a body, so that botocore has the status alone. What else these can mean, S3Storage asks.
_WITHOUT_A_BODY = {
    "301": (Cause.OTHER_REGION, "Moved Permanently"),
    "400": (Cause.CREDENTIALS, "Bad Request, as S3 answers an expired token"),
    "403": (Cause.PERMISSION, "Forbidden"),
    "412": (Cause.REFUSED, "Precondition Failed"),
}


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _capital(what: str) -> str:
    """The beginning of a sentence; an address stays as it is."""
    return what if "://" in what else what[:1].upper() + what[1:]
