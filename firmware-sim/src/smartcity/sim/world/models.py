"""The models that drive in this world. Figures are typical of each model, rounded."""

from __future__ import annotations

from dataclasses import dataclass

_CAR_GEARS = (3.6, 2.1, 1.4, 1.0, 0.77, 0.62)
_TRUCK_GEARS = (9.0, 6.6, 4.9, 3.6, 2.65, 1.95, 1.43, 1.05, 0.78)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of vehicle, as far as driving and OBD need it."""

    make: str
    model: str
    years: tuple[int, int]
    fuel_type: str
    vehicle_type: str
    mass_kg: float
    power_kw: float
    displacement_l: float
    tank_l: float
    """Tank; for electric vehicles what the battery holds, in litres of petrol of the same energy as drawn."""
    drag_m2: float
    """Drag coefficient times frontal area."""
    gears: tuple[float, ...] = _CAR_GEARS
    rpm_per_speed: float = 114.0
    """Engine revolutions per minute for each m/s in a gear of ratio 1."""
    idle_rpm: float = 750.0
    speed_max: float = 40.0
    """m/s"""
    acceleration: float = 1.8
    """m/s² that its drivers use"""


MODELS = (
    Model(make="Toyota", model="Corolla", years=(2014, 2024), fuel_type="petrol", vehicle_type="car",
          mass_kg=1_350, power_kw=97, displacement_l=1.8, tank_l=50, drag_m2=0.64),
    Model(make="Volkswagen", model="Passat", years=(2012, 2022), fuel_type="diesel", vehicle_type="car",
          mass_kg=1_560, power_kw=110, displacement_l=2.0, tank_l=66, drag_m2=0.66, rpm_per_speed=88.0, idle_rpm=820),
    Model(make="Ford", model="Focus", years=(2010, 2023), fuel_type="petrol", vehicle_type="car",
          mass_kg=1_330, power_kw=92, displacement_l=1.5, tank_l=52, drag_m2=0.65, idle_rpm=780),
    Model(make="Toyota", model="Prius", years=(2015, 2024), fuel_type="hybrid", vehicle_type="car",
          mass_kg=1_440, power_kw=90, displacement_l=1.8, tank_l=43, drag_m2=0.55, idle_rpm=950),
    Model(make="Honda", model="Civic", years=(2013, 2024), fuel_type="petrol", vehicle_type="car",
          mass_kg=1_320, power_kw=118, displacement_l=2.0, tank_l=47, drag_m2=0.61, acceleration=2.0),
    Model(make="Ford", model="Transit", years=(2013, 2023), fuel_type="diesel", vehicle_type="van",
          mass_kg=2_600, power_kw=96, displacement_l=2.0, tank_l=70, drag_m2=1.5, rpm_per_speed=92.0, idle_rpm=800,
          speed_max=33.0, acceleration=1.4),
    Model(make="Tesla", model="Model 3", years=(2018, 2024), fuel_type="electric", vehicle_type="car",
          mass_kg=1_800, power_kw=208, displacement_l=0.0, tank_l=24, drag_m2=0.51, acceleration=2.3),
    Model(make="Volvo", model="FH", years=(2014, 2023), fuel_type="diesel", vehicle_type="truck",
          mass_kg=24_000, power_kw=345, displacement_l=12.8, tank_l=600, drag_m2=5.2, gears=_TRUCK_GEARS,
          rpm_per_speed=52.0, idle_rpm=600, speed_max=25.0, acceleration=0.7),
    Model(make="Hyundai", model="Tucson", years=(2016, 2024), fuel_type="hybrid", vehicle_type="car",
          mass_kg=1_700, power_kw=132, displacement_l=1.6, tank_l=52, drag_m2=0.80, idle_rpm=900),
    Model(make="Alexander Dennis", model="Enviro500", years=(2010, 2020), fuel_type="diesel", vehicle_type="bus",
          mass_kg=16_500, power_kw=250, displacement_l=8.9, tank_l=330, drag_m2=5.8, gears=_TRUCK_GEARS[2:],
          rpm_per_speed=58.0, idle_rpm=700, speed_max=26.0, acceleration=0.9),
)  # fmt: skip
