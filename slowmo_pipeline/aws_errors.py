"""What AWS's refusals mean, whichever client meets them. Imports no client."""

EXPIRED = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken"),
        *("InvalidSignatureException", "NotSignedUp", "RequestExpired", "RequestTimeTooSkewed"),
        *("SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException"),
    }
)
"""Codes of refused credentials, in the spellings of S3 and of the other services."""

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation"})
"""Codes of what the credentials may not do."""

THROTTLED = frozenset(
    {
        *("ThrottlingException", "ThrottledException", "Throttling", "TooManyRequestsException", "SlowDown"),
        *("RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "LimitExceededException"),
    }
)
"""Codes of what may be asked again later. Throttling has no code of its own at most services."""

SIGN_IN = "sign in again (`aws sso login`, AWS_PROFILE or new AWS_* variables), then run again: nothing done is lost"
"""What to do about refused credentials, as the end of a sentence."""

GRANT = "let their role have the pipeline's policy of deploy/cloudformation.yaml"
"""What to do about missing permissions, as the end of a sentence."""
