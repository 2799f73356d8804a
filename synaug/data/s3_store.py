"""The store on S3 or a server that speaks it.

Retries, pooling and multipart are botocore's and s3transfer's own, configured.

The endpoint, region and credentials come from where boto3 looks (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, a profile, a
role); AWS_MAX_ATTEMPTS and AWS_RETRY_MODE change the number and kind of retries.
"""

import functools
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

import boto3
from boto3.exceptions import RetriesExceededError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    InvalidEndpointConfigurationError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from synaug.data.layout import check_key
from synaug.errors import DataError, ModelError, SynaugError, TransientError, UsageError
from synaug.telemetry import beat, uploading

# Attempts at a request, unless AWS_MAX_ATTEMPTS says otherwise: with waits of at most 1, 2, 4, ... 20 s, about a
# minute.
ATTEMPTS = 8
# Seconds that a store may be away, unless SYNAUG_STORE_PATIENCE says otherwise; botocore's own waits are random.
PATIENCE = 90.0
PAUSE = 2.0  # seconds between rounds of attempts
MULTIPART = 16 << 20  # larger objects travel in parts of this size
SINGLE = 4 << 30  # up to this an object can be put in one request, which alone can be conditional
ABANDONED = timedelta(days=1)  # age of an upload in parts that no living process goes on with
CREDENTIALS = {
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AccountProblem",
    "AllAccessDisabled",
    "403",
    "Forbidden",
    "InvalidClientTokenId",
    "RequestTimeTooSkewed",
    "XAdminUserNotFound",  # versitygw's for an unknown access key, with status 404
}
FULL = {"QuotaExceeded", "QuotaExceededException", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge", "507"}
BUSY = {
    "SlowDown",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "InternalError",
    "ServiceUnavailable",
    "429",
}
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@functools.cache
def clients(process: int):
    """Make the client of a process: a connection must not be shared over a fork."""
    retries = {
        "mode": os.environ.get("AWS_RETRY_MODE", "standard"),
        "total_max_attempts": int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS)),
    }
    # Checksums in trailers, botocore's default, are not understood by every server; the project's own SHA-256 guard the
    # content.
    config = Config(
        retries=retries,
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
        tcp_keepalive=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", config=config)


def attempts() -> int:
    """Return how often a request is tried."""
    return int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))


def retry_while_unavailable(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a method to try again while the store is away, for PATIENCE seconds in all: a restart is no failure."""

    @functools.wraps(method)
    def tried(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        until = time.monotonic() + float(os.environ.get("SYNAUG_STORE_PATIENCE", PATIENCE))
        while True:
            try:
                return method(*arguments, **named)
            except TransientError:
                if time.monotonic() + PAUSE > until:
                    raise
                time.sleep(PAUSE)

    return tried


TRANSFER = TransferConfig(
    multipart_threshold=MULTIPART, multipart_chunksize=MULTIPART, max_concurrency=4, num_download_attempts=ATTEMPTS
)


class S3Store:
    """s3://bucket/prefix; see synaug.data.store.Store."""

    def __init__(self, url: str) -> None:
        self.bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not self.bucket:
            raise UsageError(f"{url!r} names no bucket; a store on S3 is s3://bucket or s3://bucket/prefix")
        self.prefix = prefix.strip("/")
        self.url = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        self._bucket_seen = False

    def __reduce__(self) -> tuple[type["S3Store"], tuple[str]]:
        return S3Store, (self.url,)

    @retry_while_unavailable
    def get(self, key: str, *, start: int | None = None, length: int | None = None) -> bytes:
        if length == 0:
            return b""
        first = start or 0
        where = (
            {}
            if start is None and length is None
            else {"Range": f"bytes={first}-{'' if length is None else first + length - 1}"}
        )
        with self._errors(key):
            for attempt in range(attempts()):
                response = self._client.get_object(Bucket=self.bucket, Key=self._key(key), **where)
                try:
                    data = response["Body"].read()
                    break
                except (HTTPClientError, IncompleteReadError):
                    # botocore tries a request again, not a body that breaks off; s3transfer does, but knows no ranges.
                    if attempt == attempts() - 1:
                        raise
        if length is not None and len(data) != length:
            raise DataError(
                f"{self.url}/{key} ends {length - len(data)} bytes before the end of the range {first}+{length}: it is "
                "truncated"
            )
        return data

    @retry_while_unavailable
    def put(self, key: str, data: bytes | Path, *, if_absent: bool = False) -> bool:
        if if_absent and self.exists(key):
            return False
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        with uploading(), self._errors(key):
            if if_absent and size <= SINGLE:
                return self._put_new(key, data)
            if isinstance(data, bytes) and size < MULTIPART:
                self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)
                return True
            self._abort_left_over(key)
            with io.BytesIO(data) if isinstance(data, bytes) else open(data, "rb") as file:
                self._client.upload_fileobj(
                    file, self.bucket, self._key(key), Config=TRANSFER, Callback=lambda bytes: beat()
                )
        return True

    @retry_while_unavailable
    def exists(self, key: str) -> bool:
        with self._errors(key):
            try:
                self._client.head_object(Bucket=self.bucket, Key=self._key(key))
                return True
            except ClientError as error:
                if _status(error) != 404:
                    raise
            self._see_bucket()
            return False

    @retry_while_unavailable
    def size(self, key: str) -> int:
        with self._errors(key):
            return self._client.head_object(Bucket=self.bucket, Key=self._key(key))["ContentLength"]

    @retry_while_unavailable
    def list(self, prefix: str) -> Iterator[str]:
        cut = len(self.prefix) + 1 if self.prefix else 0
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._full(prefix)
            )
            keys = [entry["Key"][cut:] for page in pages for entry in page.get("Contents", ())]
        return iter(sorted(keys))  # not every server sorts by bytes

    @retry_while_unavailable
    def delete(self, key: str) -> None:
        with self._errors(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    @retry_while_unavailable
    def download(self, key: str, path: Path) -> None:
        with self._errors(key):
            self._client.download_file(
                self.bucket, self._key(key), str(path), Config=TRANSFER, Callback=lambda bytes: beat()
            )

    @property
    def _client(self):
        return clients(os.getpid())

    def _full(self, prefix: str) -> str:
        return f"{self.prefix}/{prefix}" if self.prefix else prefix

    def _key(self, key: str) -> str:
        return self._full(check_key(key))

    def _put_new(self, key: str, data: bytes | Path) -> bool:
        """Put in one request, which the server refuses when there is an object by then."""
        with io.BytesIO(data) if isinstance(data, bytes) else open(data, "rb") as body:
            try:
                self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=body, IfNoneMatch="*")
                return True
            except ClientError as error:
                if _status(error) == 412:
                    return False
                if _status(error) == 409:  # another conditional put of this key is under way
                    raise TransientError(f"{self.url}/{key} is being written by another process just now") from error
                raise

    def _abort_left_over(self, key: str) -> None:
        """Abort the uploads in parts of this key that a killed process left: they are paid for and never listed.

        Only those that nobody can be busy with: another pod may be uploading this key, presumed lost but alive.
        """
        try:
            uploads = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=self._key(key)).get("Uploads", ())
        except ClientError as error:
            if _status(error) in (401, 403):  # it may put and not list them; a life-cycle rule of the bucket cleans up
                return
            raise
        for upload in uploads:
            if upload["Key"] == self._key(key) and datetime.now(UTC) - upload["Initiated"] > ABANDONED:
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def _see_bucket(self) -> None:
        """Ask once whether the bucket is there.

        A HEAD's answer has no text: whether 404 means the object, the bucket or (versitygw) the access key, only
        another request can say.
        """
        if not self._bucket_seen:
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._full(""), MaxKeys=1)
            self._bucket_seen = True

    def _cause(self, error: ClientError) -> ClientError:
        if error.operation_name == "HeadObject" and _status(error) == 404:
            try:
                self._see_bucket()
            except ClientError as cause:
                return cause
        return error

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
            beat()
        except ClientError as error:
            raise self._translated(self._cause(error), key) from error
        except (
            NoCredentialsError,
            PartialCredentialsError,
            ProfileNotFound,
            TokenRetrievalError,
            CredentialRetrievalError,
        ) as error:
            raise ModelError(
                f"no usable credentials for {self.url}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a "
                "profile"
            ) from error
        except (ParamValidationError, InvalidEndpointConfigurationError, NoRegionError) as error:
            raise UsageError(
                f"cannot use {self.url}: {_line(error)}; check the URL, AWS_ENDPOINT_URL and AWS_REGION"
            ) from error
        except ValueError as error:  # what botocore raises for an endpoint that is no URL
            raise UsageError(f"cannot use {self.url}: {_line(error)}; check AWS_ENDPOINT_URL") from error
        except (BotoCoreError, RetriesExceededError) as error:
            raise TransientError(
                f"{self.url} stayed out of reach after {attempts()} attempts: {_line(error)}"
            ) from error

    def _translated(self, error: ClientError, key: str) -> SynaugError:
        code, status = error.response["Error"].get("Code", ""), _status(error)
        answer = f"{code} {error.response['Error'].get('Message', '')}".strip()
        if code == "NoSuchBucket":
            return DataError(
                f"no store at {self.url}: there is no bucket {self.bucket!r}; make it, or correct the URL or "
                "AWS_ENDPOINT_URL"
            )
        if code == "NoSuchUpload":
            return TransientError(
                f"the upload of {key} to {self.url} was aborted by someone else; run again to put it once more"
            )
        if code == "InvalidRange":
            return DataError(f"{self.url}/{key} is truncated: the range asked for begins after its end")
        if status == 404 and code not in CREDENTIALS:
            return DataError(f"no {key} in the store {self.url}")
        if code in FULL or status == 507:
            return DataError(f"the store {self.url} is full ({answer}) at {key}; free some space and run again")
        if code in BUSY or status >= 500 or status == 429:
            return TransientError(
                f"{self.url} stayed busy or broken ({answer or status}) at {key} after {attempts()} attempts"
            )
        if code in CREDENTIALS or status in (401, 403):
            return ModelError(
                f"{self.url} denies {error.operation_name} of {key} ({answer}); check the credentials and what they "
                "allow"
            )
        return DataError(f"{self.url} refuses {error.operation_name} of {key} ({answer or status})")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
