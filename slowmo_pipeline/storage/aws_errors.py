"""What AWS's refusals mean, whichever client meets them: the one place that sorts them and says what to do.

Sorted by cause, since the next step hangs on it: an expired token and a clock that is off both end in 403.
"""

from dataclasses import dataclass
from enum import Enum, auto

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    InvalidConfigError,
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

AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
"""What boto3's clients raise about AWS, its answers and its settings."""


class Cause(Enum):
    """Why a request failed."""

    NO_CREDENTIALS = auto()
    CREDENTIALS = auto()
    """There are some, and AWS does not take them, or they cannot be renewed."""
    CLOCK = auto()
    PERMISSION = auto()
    NO_REGION = auto()
    OTHER_REGION = auto()
    NO_BUCKET = auto()
    BUSY = auto()
    """Throttled or broken: may be asked again later."""
    UNREACHABLE = auto()
    """No answer, or half of one: may be asked again later."""
    CERTIFICATE = auto()
    SETTINGS = auto()
    """boto3 cannot make a request out of what it was told."""
    NOT_AWS = auto()
    """What answers does not speak the service's protocol."""
    REFUSED = auto()
    """Anything else that AWS says no to."""


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
    (Cause.UNREACHABLE, (HTTPClientError, NotConnectedError, IncompleteReadError, FlexibleChecksumError)),
    (Cause.NOT_AWS, (ResponseParserError,)),
    (Cause.SETTINGS, (ConfigNotFound, ConfigParseError, InvalidConfigError, BotoCoreError)),
)

_LATER = "run again later, nothing done is lost"
_ON = "then run again: nothing done is lost"
SIGN_IN = f"sign in again (`aws sso login`, AWS_PROFILE or new AWS_* variables), {_ON}"
"""What to do about refused credentials, as the end of a sentence."""

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
        said = ": ".join(filter(None, (self.code, self.message)))
        match self.cause:
            case Cause.NO_CREDENTIALS:
                return f"There are no AWS credentials for {what}: set AWS_PROFILE or run `aws configure`."
            case Cause.CREDENTIALS:
                return f"AWS does not take the credentials for {what} ({self.code or self.message}): {SIGN_IN}."
            case Cause.CLOCK:
                return (
                    f"This machine's clock is too far off for AWS to answer for {what} ({said}): set the clock, {_ON}."
                )
            case Cause.PERMISSION:
                return f"AWS does not let these credentials use {what}: {grant}. It says: {self.message}"
            case Cause.NO_REGION:
                return f"There is no AWS region for {what}: set AWS_DEFAULT_REGION, or `region` in the profile."
            case Cause.OTHER_REGION:
                return f"What is asked of {what} lies in another region: set AWS_DEFAULT_REGION to it. AWS says: {said}"
            case Cause.NO_BUCKET:
                return f"The bucket of {what} does not exist: make it, or set SLOWMO_STORAGE to another one."
            case Cause.BUSY:
                return f"{_capital(what)} is busy or broken: {_LATER}. It says: {said}"
            case Cause.UNREACHABLE:
                return f"{_capital(what)} cannot be reached: {_LATER}. ({said})"
            case Cause.CERTIFICATE:
                return (
                    f"The certificate of {what} is not trusted ({said}): set AWS_CA_BUNDLE to the certificates of your "
                    "network."
                )
            case Cause.SETTINGS:
                return f"{_capital(what)} cannot be asked with these AWS settings: {said}"
            case Cause.NOT_AWS:
                return f"What answers for {what} is not what was expected there: {said}"
            case Cause.REFUSED:
                who = refused or f"{_capital(what)} refused a request"
                return (
                    f"{who}: {said}. Correct what it names and run the same command again: it goes on where this one "
                    "stopped."
                )


def sorted_out(error: Exception) -> AwsError:
    """What an error of AWS_ERRORS means."""
    if isinstance(error, ClientError):
        return _of_answer(error)
    cause = next(cause for cause, kinds in _EXCEPTIONS if isinstance(error, kinds))
    return AwsError(cause, "", _line(str(error)))


def _of_answer(error: ClientError) -> AwsError:
    told = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = str(told.get("Code", "")), _line(str(told.get("Message", "")))
    cause = next((cause for cause, codes in _CODES.items() if code in codes), Cause.REFUSED)
    if any(words in message.lower() for words in _CLOCK_WORDS):
        cause = Cause.CLOCK
    elif cause is Cause.REFUSED and status >= 500:
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
