"""What moves a vehicle: gear, revolutions, load, air, warmth and fuel, from speed, acceleration and gradient.

A model of the usual magnitudes, not of one engine. Electric vehicles answer with 0 revolutions and 0 g/s of air;
their charge stands where others have their fuel level. Hybrids stop the engine when standing or creeping gently.
"""

from __future__ import annotations

import random

from .models import Model

_AIR_KG_M3 = 1.2
_GRAVITY = 9.81
_PETROL_G_PER_L = 745.0
_STOICHIOMETRIC = 14.7
_OPERATING_C = 90.0


class Engine:
    """State of one engine, advanced by `step` once a second."""

    __slots__ = (
        "_gear", "_model", "_speeds_per_gear", "coolant_c", "fuel_percent", "intake_c",
        "load_percent", "maf_g_s", "rpm", "run_time_s", "throttle_percent",
    )  # fmt: skip

    def __init__(self, model: Model, rng: random.Random) -> None:
        self._model = model
        self._speeds_per_gear = tuple(model.rpm_per_speed * gear for gear in model.gears)
        self._gear = 0
        self.fuel_percent = rng.uniform(78.0, 97.0) if model.fuel_type == "electric" else rng.uniform(45.0, 96.0)
        self.coolant_c = self.intake_c = 15.0
        self.start(15.0)

    def start(self, ambient_c: float) -> None:
        """Cold start. A tank below 40 % was filled before."""
        if self.fuel_percent < 40.0:
            self.fuel_percent = 95.0
        self._gear = 0
        self.coolant_c = ambient_c
        self.intake_c = ambient_c + 3.0
        self.run_time_s = 0
        self.rpm = 0.0 if self._model.fuel_type == "electric" else self._model.idle_rpm
        self.load_percent = 22.0
        self.throttle_percent = 12.0
        self.maf_g_s = self._air(self.rpm, self.load_percent)

    def step(self, speed: float, acceleration: float, grade: float, ambient_c: float) -> None:
        """One second at a speed (m/s), acceleration (m/s²) and gradient."""
        model = self._model
        self.run_time_s += 1
        force = model.mass_kg * (acceleration + _GRAVITY * (grade + 0.011)) + 0.6 * model.drag_m2 * speed * speed
        power_kw = force * speed / 1000.0 if speed > 0.0 else 0.0
        used = min(max(power_kw / model.power_kw, 0.0), 1.0)
        self.intake_c += (ambient_c + (14.0 if speed < 2.0 else 4.0) - self.intake_c) * 0.02
        if model.fuel_type == "electric":
            self._drive_electric(used, power_kw, ambient_c)
            return
        if model.fuel_type == "hybrid" and speed < 7.0 and used < 0.12 and self.coolant_c > 50.0:
            self.rpm = self.load_percent = self.maf_g_s = 0.0
            self.throttle_percent = 10.0 + 40.0 * used
            self.coolant_c -= 0.01
            return
        self._drive_combustion(speed, used, power_kw)

    def _drive_combustion(self, speed: float, used: float, power_kw: float) -> None:
        model, speeds = self._model, self._speeds_per_gear
        up = model.idle_rpm * (2.4 + 3.0 * used)
        gear = self._gear
        while gear < len(speeds) - 1 and speed * speeds[gear] > up:
            gear += 1
        while gear and speed * speeds[gear] < model.idle_rpm * 1.45:
            gear -= 1
        self._gear = gear
        rpm = max(model.idle_rpm, speed * speeds[gear])
        available = model.power_kw * min(1.0, rpm / (model.idle_rpm * 5.5))
        coasting = power_kw < -2.0
        load = 10.0 if coasting else min(20.0 + 76.0 * power_kw / available, 98.0) if power_kw > 0 else 20.0
        maf = self._air(rpm, load)
        # A diesel breathes more air than it burns; its fuel follows the load.
        burnt = maf / _STOICHIOMETRIC * (0.85 if model.fuel_type == "diesel" else 1.0)
        if not coasting:
            self.fuel_percent = max(self.fuel_percent - burnt / _PETROL_G_PER_L / model.tank_l * 100.0, 1.0)
        self.rpm, self.load_percent, self.maf_g_s = rpm, load, maf
        self.throttle_percent = 12.0 + 0.72 * max(load - 20.0, 0.0)
        self.coolant_c += (_OPERATING_C + 0.04 * load - self.coolant_c) * (0.0025 + 0.00006 * load)

    def _air(self, rpm: float, load: float) -> float:
        """Air flow in g/s of a four-stroke engine: half its displacement per revolution, throttled by its load."""
        return self._model.displacement_l * rpm / 120.0 * _AIR_KG_M3 * 0.85 * max(load, 18.0) / 100.0

    def _drive_electric(self, used: float, power_kw: float, ambient_c: float) -> None:
        model = self._model
        drawn_kw = 0.6 + (power_kw / 0.9 if power_kw > 0 else power_kw * 0.6)
        # The "tank" is counted at 3.2 kWh of drive energy per litre.
        self.fuel_percent = min(max(self.fuel_percent - drawn_kw / 3600.0 / 3.2 / model.tank_l * 100.0, 1.0), 100.0)
        self.load_percent = 100.0 * used
        self.throttle_percent = 8.0 + 80.0 * used
        self.coolant_c += (max(ambient_c, 20.0) + 12.0 + 30.0 * used - self.coolant_c) * 0.003
