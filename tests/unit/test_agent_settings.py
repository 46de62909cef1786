"""What the agent can be told, by its environment."""

import pytest

from fleetfold_devices.port import Wanted
from fleetfold_runtime.settings import SettingsError, load_settings
from fleetfold_telemetry_agent.settings import AgentSettings


def settings(**variables: str) -> AgentSettings:
    return load_settings(AgentSettings, {f"FLEETFOLD_{name.upper()}": value for name, value in variables.items()})


def test_labels_are_pairs() -> None:
    assert settings().node_labels == {}
    assert settings(labels="rack=a,zone=b").node_labels == {"rack": "a", "zone": "b"}
    assert settings(labels="note=x=y,empty=").node_labels == {"note": "x=y", "empty": ""}


@pytest.mark.parametrize("labels", ["rack", "rack=a,", "=a", ",", ",".join(f"l{number}=" for number in range(65))])
def test_labels_that_are_none_are_refused_by_the_name_of_the_setting(labels: str) -> None:
    with pytest.raises(SettingsError, match="FLEETFOLD_LABELS"):
        settings(labels=labels)


def test_temperature_and_power_are_read_unless_turned_off_and_pcie_throughput_if_turned_on() -> None:
    assert settings().wanted == Wanted(temperature=True, power=True, pcie_throughput=False)
    assert settings(sample_temperature="false", sample_power="0", sample_pcie_throughput="true").wanted == Wanted(
        temperature=False, power=False, pcie_throughput=True
    )


def test_key_frames_come_at_their_interval_whatever_the_tick() -> None:
    assert settings().ticks_between_key_frames == 15
    assert settings(sample_interval_s="0.2").ticks_between_key_frames == 150
    assert settings(sample_interval_s="60").ticks_between_key_frames == 1
    with pytest.raises(SettingsError, match="FLEETFOLD_SAMPLE_INTERVAL_S"):
        settings(sample_interval_s="0.1")
