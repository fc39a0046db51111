"""What is read of a machine, from folders with the files that such machines have under /sys."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ailsr.runtime import UsageError
from ailsr.runtime.bench.cores import choose, pin
from ailsr.runtime.bench.energy import Battery, Rapl, find_meter, joules_per_call
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.system import Condition, Conditions, System, Ticks, Watch
from ailsr.runtime.bench.worker import measure
from ailsr.runtime.progress import silent

CPU, POWER = "sys/devices/system/cpu", "sys/class/power_supply"


def write(root: Path, files: dict[str, object]) -> None:
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


@pytest.fixture
def phone(tmp_path) -> Path:
    """Four little, three big and one prime core, a battery at 78 %, and a charger."""
    for core in range(8):
        slow, fast = core < 4, core == 7
        write(
            tmp_path,
            {
                f"{CPU}/cpu{core}/cpu_capacity": 325 if slow else 1024 if fast else 871,
                f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq": 1804800 if slow else 2419200,
                f"{CPU}/cpu{core}/cpufreq/cpuinfo_max_freq": 1804800 if slow else 2841600,
                f"{CPU}/cpu{core}/cpufreq/scaling_governor": "walt" if slow else "schedutil",
            },
        )
    write(
        tmp_path,
        {
            f"{CPU}/cpufreq/boost": 1,
            "sys/class/thermal/thermal_zone0/type": "cpu-0-0-usr",
            "sys/class/thermal/thermal_zone0/temp": 41300,
            "sys/class/thermal/thermal_zone1/type": "cpu-1-3-usr",
            "sys/class/thermal/thermal_zone1/temp": 52100,
            "sys/class/thermal/thermal_zone2/type": "battery",
            "sys/class/thermal/thermal_zone2/temp": 61000,
            "sys/class/thermal/thermal_zone3/type": "cpu-modem",
            "sys/class/thermal/thermal_zone3/temp": -273000,  # asleep
            f"{POWER}/battery/type": "Battery",
            f"{POWER}/battery/capacity": 78,
            f"{POWER}/battery/status": "Discharging",
            f"{POWER}/battery/current_now": -500000,
            f"{POWER}/battery/voltage_now": 4000000,
            f"{POWER}/usb/type": "USB",
            "proc/stat": "cpu  1000 50 300 8000 100 10 20 40 7 0\ncpu0 1 2 3 4 5 6 7 8 0 0",
        },
    )
    return tmp_path


@pytest.fixture
def laptop(tmp_path) -> Path:
    """Two packages with RAPL, a core's counter below one of them, and no frequency driver."""
    rapl = "sys/class/powercap/intel-rapl"
    for zone, name, energy in (
        (":0", "package-0", 262_143_000_000),
        (":1", "package-1", 5_000_000),
        (":2", "psys", 9),
        (":0:0", "core", 7),
    ):
        write(
            tmp_path,
            {
                f"{rapl}{zone}/name": name,
                f"{rapl}{zone}/energy_uj": energy,
                f"{rapl}{zone}/max_energy_range_uj": 262_143_328_850,
            },
        )
    block = "processor\t: {}\nmodel name\t: Some CPU\ncpu MHz\t\t: {}\n"
    write(
        tmp_path,
        {
            "proc/cpuinfo": "\n".join([block.format(0, "2400.000"), block.format(1, "3600.000")]),
            f"{CPU}/cpu0/topology/core_id": 0,
            f"{CPU}/cpu1/topology/core_id": 1,
            "sys/class/hwmon/hwmon0/name": "nvme",
            "sys/class/hwmon/hwmon0/temp1_input": 70000,
            "sys/class/hwmon/hwmon1/name": "k10temp",
            "sys/class/hwmon/hwmon1/temp1_input": 48625,
        },
    )
    return tmp_path


def test_the_state_of_a_phone(phone):
    state = System(phone).condition()
    assert state == Condition(
        clock_mhz=2112.0, temperature_c=52.1, battery_percent=78.0, governor="schedutil, walt"
    )
    little = System(phone, range(4)).condition()
    assert (little.clock_mhz, little.governor) == (1804.8, "walt")


def test_the_state_of_a_machine_without_frequency_driver(laptop):
    state = System(laptop).condition()
    assert (state.clock_mhz, state.temperature_c, state.governor) == (3000.0, 48.625, None)
    assert System(laptop, [1]).condition().clock_mhz == 3600.0


def test_a_machine_that_tells_nothing(tmp_path):
    system = System(tmp_path)
    assert system.condition() == Condition()
    assert (system.ticks(), find_meter(system)) == (None, None)
    watch = Watch(system)
    watch.start()
    watch.stop()
    assert (watch.noise().steal_percent, watch.noise().others_percent) == (None, None)


def test_the_hottest_and_the_mean_clock_of_a_run_are_kept():
    blocks = [Condition(2000.0, 50.0), Condition(1000.0, 70.0), Condition(None, 60.0)]
    during = Conditions.of(Condition(3000.0), blocks, Condition(1500.0)).during
    assert (during.clock_mhz, during.temperature_c) == (1500.0, 70.0)


def test_what_others_did_is_told_from_the_own_work(phone):
    """2000 ticks go by on the machine: 300 of others and 40 stolen, next to nothing of ours."""
    assert System(phone).ticks() == Ticks(9520, 1380, 40)  # guests' time is among the users'
    watch = Watch(System(phone))
    watch.start()
    write(phone, {"proc/stat": "cpu  1200 50 400 9660 100 10 20 80 9 0"})
    watch.stop()
    noise = watch.noise()
    assert noise.steal_percent == pytest.approx(2.0)
    assert noise.others_percent == pytest.approx(15.0, abs=0.6)
    assert noise.preemptions >= 0 and len(watch.seen) == 1


@pytest.mark.parametrize(
    ("wanted", "cores"),
    [("little", [0, 1, 2, 3]), ("big", [4, 5, 6, 7]), ("7,1", [1, 7]), ("2-4, 6", [2, 3, 4, 6])],
)
def test_cores_by_kind_and_by_number(phone, wanted, cores):
    assert choose(wanted, System(phone)) == cores


def test_cores_are_told_apart_by_clock_where_there_is_no_capacity(phone):
    for core in range(8):
        (phone / CPU / f"cpu{core}" / "cpu_capacity").unlink()
    assert choose("big", System(phone)) == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("8", "cores 0 to 7"),
        ("fast", "give big, little, or numbers"),
        ("", "give big, little, or numbers"),
        ("3-1", "cores 0 to 7"),
    ],
)
def test_cores_that_there_are_not_are_one_line(phone, wanted, message):
    with pytest.raises(UsageError, match=message):
        choose(wanted, System(phone))


def test_cores_that_are_all_alike_are_neither_big_nor_little(laptop):
    with pytest.raises(UsageError, match="all alike"):
        choose("big", System(laptop))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_is_confined_to_cores():
    core = min(os.sched_getaffinity(0))
    code = f"import os; from ailsr.runtime.bench.cores import pin; pin([{core}]);"
    code += "print(os.sched_getaffinity(0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{{{core}}}"
    with pytest.raises(UsageError, match="cannot run on"):
        pin([4095])


def test_rapl_counts_packages_once_and_over_the_end_of_a_counter(laptop):
    meter = Rapl(System(laptop))
    zone = "sys/class/powercap/intel-rapl"
    write(laptop, {f"{zone}:0/energy_uj": 671_150, f"{zone}:1/energy_uj": 7_500_000})
    assert meter.joules() == pytest.approx(1.0 + 2.5)
    assert meter.joules() == 0
    assert joules_per_call(lambda: None, meter, seconds=0.2) is None  # the counter stands still


def test_rapl_that_only_root_may_read_is_no_meter(laptop):
    for counter in laptop.glob("sys/class/powercap/*/energy_uj"):
        counter.write_text("")  # what root reads here of a file without permission
    assert find_meter(System(laptop)) is None


def test_a_discharging_battery_is_a_meter(phone):
    """0.5 A at 4 V: a call of 20 ms takes 40 mJ."""
    meter = find_meter(System(phone))
    assert isinstance(meter, Battery)
    energy = joules_per_call(lambda: time.sleep(0.02), meter, seconds=0.5)
    assert energy.source == "battery"
    assert energy.joules_per_inference == pytest.approx(0.04, rel=0.5)
    write(phone, {f"{POWER}/battery/power_now": 3_000_000})
    assert meter._watts() == 3.0
    write(phone, {f"{POWER}/battery/status": "Charging"})
    assert find_meter(System(phone)) is None


def test_a_file_is_measured_on_such_a_machine(phone, write_network):
    path = write_network("tflite int8 uint8", (24, 32))
    asked = Request(str(path), 1, runs=3, seconds=0.3)
    found = measure(asked, silent, root=phone)
    assert found.conditions.before.temperature_c == 52.1
    assert found.conditions.during.clock_mhz == 2112.0
    assert found.energy.source == "battery" and 0 < found.energy.joules_per_inference < 0.1
    assert found.noise.steal_percent is None  # the counters of this folder stand still
