"""make_shards on Dask: the bytes of the local engine, from processes that share nothing with it but files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Security

from pipelines.make_shards import MakeShardsConfig
from tests.bucket_server import free_port
from tests.conftest import ROOT
from tests.dask_cluster import DaskCluster
from tests.pipelines.conftest import FOLDER, artefacts, draw_folder, only_error, succeed
from tfrecords_tools.engines.dask_security import read_security
from tfrecords_tools.foundation.errors import ConfigError, DataError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("dask") / "images")


@pytest.fixture(scope="module")
def local(images: Path, launch) -> dict[str, bytes]:
    succeed(launch("make_shards", input=images, output=images.with_name("local"), **FOLDER))
    return artefacts(images.with_name("local"))


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, whose current folder is another one."""
    with DaskCluster() as cluster:
        cluster.start_worker()
        cluster.start_worker()
        yield cluster.address


def test_a_cluster_of_this_machine_writes_the_bytes_of_the_local_engine(images, local, launch, tmp_path):
    result = launch("make_shards", input=images, output=tmp_path / "out", engine="dask", **{**FOLDER, "workers": 2})
    succeed(result)
    assert artefacts(tmp_path / "out") == local
    assert "distributed" not in result.stderr


def test_a_cluster_elsewhere_writes_the_bytes_of_the_local_engine(images, local, scheduler, launch, tmp_path):
    out = Path(os.path.relpath(tmp_path / "out", ROOT))  # relative to the folder of this process, not of the workers
    result = launch("make_shards", input=images, output=out, engine="dask", scheduler=scheduler, **FOLDER)
    succeed(result)
    assert artefacts(tmp_path / "out") == local
    assert "distributed" not in result.stderr


@pytest.fixture
def security(tmp_path: Path) -> Path:
    """A file of Dask's settings with certificates for all; docs/shards.md makes them by openssl."""
    made = Security.temporary()
    certificate, key, settings = (tmp_path / name for name in ("dask.crt", "dask.key", "dask.yaml"))
    certificate.write_text(made.tls_ca_file)
    key.write_text(made.tls_client_key)
    roles = {role: {"cert": str(certificate), "key": str(key)} for role in ("scheduler", "worker", "client")}
    tls = {"ca-file": str(certificate), **roles}
    settings.write_text(json.dumps({"distributed": {"comm": {"require-encryption": True, "tls": tls}}}))  # is YAML too
    return settings


def test_a_cluster_with_certificates_serves_those_who_have_them(images, local, security, launch, tmp_path):
    with DaskCluster("--protocol=tls", config=str(security)) as cluster:
        cluster.start_worker()
        settings = {**FOLDER, "input": images, "engine": "dask", "scheduler": cluster.address}
        succeed(launch("make_shards", output=tmp_path / "out", scheduler_security=security, **settings))
        stranger = launch("make_shards", output=tmp_path / "stranger", **settings)
    assert cluster.address.startswith("tls://")
    assert artefacts(tmp_path / "out") == local
    error = only_error(stranger)
    assert error.startswith(f"error: --scheduler={cluster.address}: ")
    assert "--scheduler_security" in error


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        (None, "dask.yaml"),
        ("distributed: [", "malformed"),
        ("distributed: {comm: {require-encryption: true}}", "ca-file"),
        ("distributed: {comm: {tls: {ca-file: /nowhere.crt}}}", "/nowhere.crt"),
    ],
)
def test_certificates_that_cannot_be_used_are_one_line(contents, named, tmp_path):
    file = tmp_path / "dask.yaml"
    if contents is not None:
        file.write_text(contents)
    with pytest.raises(DataError) as error:
        read_security(str(file))
    assert str(error.value).startswith("--scheduler_security")
    assert named in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scheduler", ["", "tcp://127.0.0.1:1", "127.0.0.1:1"])
def test_certificates_are_never_ignored(scheduler):
    with pytest.raises(ConfigError, match="scheduler_security.*tls://"):
        MakeShardsConfig(
            source=("phantom",), output="out", engine="dask", scheduler=scheduler, scheduler_security="dask.yaml"
        )


def test_an_error_of_a_job_is_the_only_line(images, launch, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image_name,x_min,y_min,x_max,y_max\n001,0,0,9000,9000\n")
    settings = {**FOLDER, "input": images, "engine": "dask", "boxes": boxes, "output": tmp_path / "out"}
    result = launch("make_shards", **settings)
    assert "001" in only_error(result)
    assert "distributed" not in result.stderr
    talkative = launch("make_shards", verbosity=1, **settings)
    assert "Traceback" in talkative.stderr


def test_a_scheduler_that_does_not_answer_is_one_line(images, launch, tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    result = launch("make_shards", input=images, output=tmp_path / "out", engine="dask", scheduler=address, **FOLDER)
    error = only_error(result)
    assert error.startswith(f"error: --scheduler={address}: ")
    assert "distributed" not in result.stderr
