"""A real S3 server, SeaweedFS, for the tests: loopback only, its own folder, free ports."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "writer", "AWS_SECRET_ACCESS_KEY": "writer-secret", "AWS_DEFAULT_REGION": "us-east-1"}
READER = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "reader-secret", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "synaug"


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Weed:
    """`weed server -s3` with an account that writes and one that only reads.

    Use as a context manager; `.endpoint` is its URL.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> "Weed":
        binary = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        accounts = [_account(KEYS, ["Admin", "Read", "Write", "List"]), _account(READER, ["Read", "List"])]
        (self.folder / "s3.json").write_text(json.dumps({"identities": accounts}))
        (self.folder / "data").mkdir()
        self.process = subprocess.Popen(
            [
                binary,
                "-logtostderr=true",
                "server",
                f"-dir={self.folder / 'data'}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-s3",
            ]
            + [f"-{name}={port}" for name, port in ports.items()]
            + [
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={self.folder / 's3.json'}",
                "-s3.autoCreateBucket=false",
            ]
            + ["-volume.max=0", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"],
            stdout=open(self.folder / "log.txt", "wb"),
            stderr=subprocess.STDOUT,
        )
        self._await_ready(60)
        return self

    def _await_ready(self, seconds: float) -> None:
        """Until a bucket is made and an object put: then all of master, volume server, filer and gateway are there."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )
        deadline = threading.Event()
        timer = threading.Timer(seconds, deadline.set)
        timer.start()
        try:
            while True:
                try:
                    client.create_bucket(Bucket=BUCKET)
                    client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
                    client.delete_object(Bucket=BUCKET, Key="ready")
                    return
                except (BotoCoreError, ClientError) as error:
                    if isinstance(error, ClientError) and error.response["Error"]["Code"] == "BucketAlreadyExists":
                        raise
                    if self.process.poll() is not None or deadline.wait(0.1):
                        log = (self.folder / "log.txt").read_text()[-2000:]
                        raise RuntimeError(f"weed is not ready after {seconds} s ({error}):\n{log}") from error
        finally:
            timer.cancel()

    def __exit__(self, *error) -> None:
        self.process.kill()  # its data are thrown away, and a polite end takes it 15 s
        self.process.wait()


def _account(keys: dict[str, str], actions: list[str]) -> dict:
    credentials = [{"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]}]
    return {"name": keys["AWS_ACCESS_KEY_ID"], "credentials": credentials, "actions": actions}
