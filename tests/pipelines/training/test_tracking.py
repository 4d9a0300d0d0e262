"""Experiment trackers, by their own packages: nothing is lost, whatever of the network is there."""

import logging
import shutil
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from pipelines.artefacts.metrics_file import MetricsLine, read_metrics
from pipelines.contract.shared_settings import TrackerSettings
from pipelines.training.trackers import TRACKERS
from pipelines.training.tracking import tracking
from tests.pipelines.conftest import GAN, succeed
from tests.ports import free_ports
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.settings import setting_of


@dataclass(frozen=True)
class Config:
    tracker: str
    workdir: str
    learning_rate: float = 0.5


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Nobody's keys and addresses count."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # for what is read here
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()  # it reads its variables once a process


def append(folder: Path, *lines: tuple[str, int, float]) -> None:
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.writelines(MetricsLine(series, step, {"loss": loss}).as_text() for series, step, loss in lines)


def track(
    folder: Path, tracker: str, *, workdir: Path | None = None, writable: bool = True, fails: bool = False
) -> None:
    """Sends once, as a run that has one checkpoint, and then ends or fails."""
    config = Config(tracker, str(workdir or folder))
    with tracking(config, "train_gan", folder, writable=writable) as send:
        send()
        if fails:
            raise ZeroDivisionError


def mlflow_runs(folder: Path) -> tuple[mlflow.MlflowClient, list]:
    client = mlflow.MlflowClient(tracking_uri=(folder / "tracker" / "mlruns").as_uri())
    (experiment,) = [each for each in client.search_experiments() if each.name == "melgan"]
    return client, list(client.search_runs([experiment.experiment_id]))


def test_mlflow_has_settings_and_all_metrics_of_one_run_whatever_its_starts(tmp_path: Path):
    append(tmp_path, ("gan", 2, 0.5), ("fold 0 [é]", 2, float("nan")))
    track(tmp_path, "mlflow")
    append(tmp_path, ("gan", 4, 0.25))
    track(tmp_path, "mlflow")
    track(tmp_path, "mlflow")
    client, (run,) = mlflow_runs(tmp_path)
    assert run.info.run_name == tmp_path.name
    assert run.info.status == "FINISHED"
    assert run.data.tags["command"] == "train_gan"
    assert run.data.params["learning_rate"] == "0.5"
    history = client.get_metric_history(run.info.run_id, "gan/loss")
    assert [(metric.step, metric.value) for metric in history] == [(2, 0.5), (4, 0.25)]
    assert set(run.data.metrics) == {"gan/loss", "fold 0 _5b_c3_a9_5d/loss"}


def test_a_server_out_of_reach_costs_a_warning_and_gets_the_metrics_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    append(tmp_path, ("gan", 2, 0.5))
    (port,) = free_ports(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://localhost:{port}")
    with caplog.at_level(logging.WARNING, logger="absl"):
        track(tmp_path, "mlflow")
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert warning.startswith("--tracker=mlflow: ")
    assert f"{tmp_path}/metrics.jsonl" in warning
    assert "\n" not in warning
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    track(tmp_path, "mlflow")
    _, (run,) = mlflow_runs(tmp_path)
    assert run.data.metrics == {"gan/loss": 0.5}


def test_many_lines_are_sent_in_parts(tmp_path: Path):
    append(tmp_path, *(("gan", step, float(step)) for step in range(1, 131)))
    track(tmp_path, "mlflow")
    client, (run,) = mlflow_runs(tmp_path)
    history = client.get_metric_history(run.info.run_id, "gan/loss")
    assert [metric.step for metric in history] == list(range(1, 131))


def test_a_run_that_fails_is_not_finished_and_goes_on(tmp_path: Path):
    append(tmp_path, ("gan", 2, 0.5))
    with pytest.raises(ZeroDivisionError):
        track(tmp_path, "mlflow", fails=True)
    assert mlflow_runs(tmp_path)[1][0].info.status == "KILLED"
    append(tmp_path, ("gan", 4, 0.25))
    track(tmp_path, "mlflow")
    _, (run,) = mlflow_runs(tmp_path)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"gan/loss": 0.25})


def test_a_run_that_failed_at_its_end_is_finished_by_the_next_start(tmp_path: Path):
    append(tmp_path, ("gan", 2, 0.5))
    with pytest.raises(ZeroDivisionError):
        track(tmp_path, "mlflow", fails=True)
    track(tmp_path, "mlflow")  # nothing is left to send
    assert mlflow_runs(tmp_path)[1][0].info.status == "FINISHED"


def test_names_stay_apart_at_mlflow(tmp_path: Path):
    names = ("<5", ">5", "a//b", "nevus", "nevus/atypical")
    line = MetricsLine("diversity", 2, {name: float(number) for number, name in enumerate(names)})
    (tmp_path / "metrics.jsonl").write_text(line.as_text())
    track(tmp_path, "mlflow")
    _, (run,) = mlflow_runs(tmp_path)
    assert run.data.metrics == {
        "diversity/_3c5": 0,
        "diversity/_3e5": 1,
        "diversity/a_2f_2fb": 2,
        "diversity/nevus": 3,
        "diversity/nevus_2fatypical": 4,
    }


def test_another_address_gets_all_as_a_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    append(tmp_path, ("gan", 2, 0.5))
    track(tmp_path, "mlflow")
    append(tmp_path, ("gan", 4, 0.25))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "other" / "tracker" / "mlruns").as_uri())
    track(tmp_path, "mlflow")
    client, (run,) = mlflow_runs(tmp_path / "other")
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "gan/loss")] == [2, 4]


def test_a_run_that_was_deleted_there_is_begun_anew(tmp_path: Path):
    append(tmp_path, ("gan", 2, 0.5))
    track(tmp_path, "mlflow")
    client, (run,) = mlflow_runs(tmp_path)
    client.delete_run(run.info.run_id)
    append(tmp_path, ("gan", 4, 0.25))
    track(tmp_path, "mlflow")
    client, (run,) = mlflow_runs(tmp_path)
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "gan/loss")] == [2, 4]


def test_a_run_that_another_machine_completed_is_sent_as_it_is_there(tmp_path: Path):
    scratch, workdir = tmp_path / "scratch", tmp_path / "run"
    for folder in (scratch, workdir):
        folder.mkdir()
    append(scratch, ("gan", 2, 0.75))
    append(workdir, ("gan", 2, 0.5), ("gan", 4, 0.25))
    (workdir / "COMPLETED").write_text("")
    track(scratch, "mlflow", workdir=workdir)
    client, (run,) = mlflow_runs(scratch)
    history = client.get_metric_history(run.info.run_id, "gan/loss")
    assert [(metric.step, metric.value) for metric in history] == [(2, 0.5), (4, 0.25)]


@pytest.mark.parametrize(
    ("tracker", "name", "value"),
    [
        ("wandb", "WANDB_PROJECT", "a/b"),
        ("wandb", "WANDB_MODE", "bogus"),
        ("wandb", "WANDB_MODE", "disabled"),
        ("mlflow", "MLFLOW_TRACKING_URI", "localhost:5000"),
        ("mlflow", "MLFLOW_TRACKING_URI", "sqlite:///runs.db"),
    ],
)
def test_whatever_a_tracker_refuses_costs_one_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tracker: str,
    name: str,
    value: str,
):
    append(tmp_path, ("gan", 2, 0.5))
    monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING, logger="absl"):
        track(tmp_path, tracker)
    warnings = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert f"{tmp_path}/metrics.jsonl" in warnings[-1]
    assert not any("\n" in warning for warning in warnings)
    assert not (tmp_path / "tracker.json").exists()


def test_a_key_that_is_none_leaves_the_run_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    append(tmp_path, ("gan", 2, 0.5))
    monkeypatch.setenv("WANDB_API_KEY", "short")
    track(tmp_path, "wandb")
    assert list((tmp_path / "tracker").rglob("offline-run-*/run-*.wandb"))


def test_a_run_of_wandb_that_goes_on_continues_its_history(tmp_path: Path):
    append(tmp_path, ("gan", 2, 0.5))
    track(tmp_path, "wandb")
    append(tmp_path, ("gan", 4, 0.25))
    track(tmp_path, "wandb")
    files = sorted((tmp_path / "tracker").rglob("run-*.wandb"), key=lambda file: file.stat().st_mtime)
    runs = [
        [each.run for each in finished_records_of(file) if each.WhichOneof("record_type") == "run"] for file in files
    ]
    ((first,), (second,)) = runs
    assert first.run_id == second.run_id
    assert (first.resumed or first.resume, second.resume) == (False, True)


def finished_records_of(file: Path) -> list[wandb_internal_pb2.Record]:
    """Returns the records, once the process of wandb that writes them has written the last one."""
    end = time.monotonic() + 60
    while True:
        records = records_of(file)
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        assert time.monotonic() < end
        time.sleep(0.1)


def records_of(file: Path) -> list[wandb_internal_pb2.Record]:
    """Returns the records of a file of wandb, in the format of LevelDB's log: blocks of 32 KiB, records in parts."""
    data, place, whole, found = file.read_bytes(), 7, b"", []  # after the name and version of the format
    while place + 7 <= len(data):
        if (left := 2**15 - place % 2**15) < 7:
            place += left
            continue
        _, length, part = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if part in (1, 4):  # a whole record, or the last part of one
            found.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return found


def test_without_a_key_wandb_keeps_settings_and_metrics_on_this_machine(tmp_path: Path, caplog):
    append(tmp_path, ("gan", 2, 0.5), ("gan", 4, 0.25), ("diversity", 4, 1.5))
    with caplog.at_level(logging.INFO, logger="absl"):
        track(tmp_path, "wandb")
    (file,) = (tmp_path / "tracker").rglob("run-*.wandb")
    assert f"wandb sync {file.parent}" in caplog.text
    records = finished_records_of(file)
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert (run.project, run.display_name, run.job_type) == ("melgan", tmp_path.name, "train_gan")
    assert (run.host, run.git.remote_url) == ("", "")
    config = {item.key: item.value_json for item in run.config.update}
    assert config["learning_rate"] == '"0.5"'
    rows = [
        {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    shown = [{name: float(value) for name, value in row.items() if not name.startswith("_")} for row in rows]
    assert shown == [
        {"step": 2, "gan/loss": 0.5},
        {"step": 4, "gan/loss": 0.25},
        {"step": 4, "diversity/loss": 1.5},
    ]
    track(tmp_path, "wandb")
    assert len(list((tmp_path / "tracker").rglob("run-*.wandb"))) == 1  # there was nothing new


def test_a_refused_key_leaves_the_run_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    (port,) = free_ports(1)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://localhost:{port}")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    append(tmp_path, ("gan", 2, 0.5))
    with caplog.at_level(logging.WARNING, logger="absl"):
        track(tmp_path, "wandb")
    assert "kept on this machine" in caplog.text
    assert list((tmp_path / "tracker").rglob("offline-run-*/run-*.wandb"))


def test_the_setting_offers_every_tracker():
    assert setting_of(TrackerSettings, "tracker").choices == ("none", *TRACKERS)


def test_no_tracker_and_no_chief_leave_no_trace(tmp_path: Path):
    append(tmp_path, ("gan", 2, 0.5))
    track(tmp_path, "none")
    track(tmp_path, "mlflow", writable=False)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_package_that_is_missing_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr(sys, "path", [])
    sys.path_importer_cache.clear()
    with pytest.raises(CommandError, match=r"melgan\[wandb\]"):
        track(tmp_path, "wandb")


def test_a_damaged_state_is_told_of(tmp_path: Path):
    append(tmp_path, ("gan", 2, 0.5))
    (tmp_path / "tracker.json").write_text("{")
    with pytest.raises(DataError, match=r"tracker\.json.*remove it"):
        track(tmp_path, "mlflow")
    assert [line.step for line in read_metrics(tmp_path)] == [2]


@pytest.mark.slow
def test_a_training_is_sent_whole_as_it_goes_or_afterwards(shards: Path, launch, tmp_path: Path):
    settings = {**GAN, "autoencoder_epochs": 0, "shards": shards, "workdir": tmp_path / "gan", "tracker": "mlflow"}
    succeed(launch("train_gan", **settings))
    expected = {
        (f"{line.series}/{name}", line.step): value
        for line in read_metrics(tmp_path / "gan")
        for name, value in line.metrics.items()
    }
    assert {step for _, step in expected} == {2, 4, 6, 8, 10, 12}
    assert numbers_at_mlflow(tmp_path / "gan") == pytest.approx(expected)
    (tmp_path / "gan" / "tracker.json").unlink()
    shutil.rmtree(tmp_path / "gan" / "tracker")
    succeed(launch("train_gan", **settings))
    assert numbers_at_mlflow(tmp_path / "gan") == pytest.approx(expected)


def numbers_at_mlflow(folder: Path) -> dict[tuple[str, int], float]:
    client, (run,) = mlflow_runs(folder)
    histories = [client.get_metric_history(run.info.run_id, name) for name in run.data.metrics]
    return {(metric.key, metric.step): metric.value for history in histories for metric in history}
