"""The city's dashboard: six sheets, written by hand. Everything that draws it, draws this."""

from __future__ import annotations

from .data_sets import data_set
from .definition import (
    Aggregation,
    Control,
    Dashboard,
    Dimension,
    Filter,
    Grain,
    Kind,
    Link,
    Measure,
    Row,
    Sheet,
    Visual,
)

BY_HOUR = (Dimension(column="moment", by=Grain.HOUR),)
BY_DAY = (Dimension(column="moment", by=Grain.DAY),)
PLACE_ON_MAP = (Dimension(column="latitude"), Dimension(column="longitude"))

SPEED = Measure(column="speed", aggregation=Aggregation.WEIGHTED_MEAN, weight="readings", title="Mean speed, km/h")
INCIDENTS = Measure(column="incident", aggregation=Aggregation.COUNT, title="Incidents")
RESPONSE = Measure(column="response_minutes", aggregation=Aggregation.MEDIAN, title="Median response, min")
AIR_QUALITY = Measure(column="air_quality", aggregation=Aggregation.MAX, title="Worst air quality index")
TEMPERATURE = Measure(column="temperature", aggregation=Aggregation.MEAN, title="Temperature, °C")
PRECIPITATION = Measure(column="precipitation", aggregation=Aggregation.MEAN, title="Precipitation, mm/h")
FUEL_USED = Measure(column="fuel_used", aggregation=Aggregation.SUM, title="Fuel used, % of a tank or battery")
FUEL_PER_100_KM = Measure(
    column="fuel_per_100_km", aggregation=Aggregation.WEIGHTED_MEAN, weight="distance", title="Fuel per 100 km, %"
)
VEHICLES_IN_VIEW = Measure(
    column="vehicles", aggregation=Aggregation.WEIGHTED_MEAN, weight="counted_frames", title="Vehicles in view"
)
FRAMES = Measure(column="frames", aggregation=Aggregation.SUM, title="Frames")

DATA_SETS = (
    data_set("city", "The city by hour"),
    data_set("speed", "Speed by kilometre"),
    data_set("speed_weather", "Speed and weather"),
    data_set("track", "Speed on the map"),
    data_set("incidents", "Incidents"),
    data_set("active", "Open incidents"),
    data_set("places", "Weather stations"),
    data_set("journeys", "Drives"),
    data_set("cameras", "Cameras"),
)

FILTERS = (
    Filter(id="time", title="Time", column="moment", control=Control.RANGE, source="speed", days=7),
    Filter(id="route", title="Route", column="route", control=Control.CHOICE, source="speed"),
    Filter(id="vehicle", title="Vehicle", column="vehicle", control=Control.CHOICE, source="journeys"),
    Filter(id="weather", title="Weather", column="weather", control=Control.CHOICE, source="speed_weather"),
)


def _kpi(name: str, title: str, column: str, aggregation: Aggregation, note: str) -> Visual:
    measure = Measure(column=column, aggregation=aggregation, title=title)
    return Visual(
        id=name,
        kind=Kind.KPI,
        title=title,
        data_set="city",
        width=9,
        dimensions=BY_HOUR,
        measures=(measure,),
        note=note,
    )


CITY = Sheet(
    id="city",
    title="City",
    filters=("time", "route"),
    rows=(
        Row(
            height=6,
            visuals=(
                _kpi("mean-speed", "Mean speed, km/h", "mean_speed", Aggregation.MEAN, "Last full hour, whole city"),
                Visual(
                    id="active-incidents", kind=Kind.KPI, title="Active incidents", data_set="active", width=9,
                    measures=(INCIDENTS,), note="Not resolved, of the last 48 hours",
                ),
                _kpi(
                    "readings-per-minute", "Readings per minute", "readings_per_minute", Aggregation.MEAN,
                    "Last full hour, all streams",
                ),
                _kpi(
                    "worst-air-quality", "Worst air quality", "worst_air_quality", Aggregation.MAX,
                    "Last full hour, all stations",
                ),
            ),
        ),
        Row(
            height=10,
            visuals=(
                Visual(
                    id="speed-by-time", kind=Kind.LINE, title="Speed by hour", data_set="speed", width=18,
                    dimensions=BY_HOUR, measures=(SPEED,), color="route",
                ),
                Visual(
                    id="incidents-now", kind=Kind.STACKED_BAR, title="Incidents by type and status",
                    data_set="incidents", width=18, dimensions=(Dimension(column="type"),), measures=(INCIDENTS,),
                    color="status", click_filters=True, note="A click filters the open incidents by it",
                ),
            ),
        ),
        Row(
            height=14,
            visuals=(
                Visual(
                    id="speed-map", kind=Kind.MAP, title="Speed on the road", data_set="track", width=18,
                    dimensions=PLACE_ON_MAP, measures=(SPEED,), color="speed_band", note="The last 24 hours",
                ),
                Visual(
                    id="active-map", kind=Kind.MAP, title="Open incidents", data_set="active", width=18,
                    dimensions=PLACE_ON_MAP, measures=(INCIDENTS,), color="type",
                ),
            ),
        ),
    ),
)  # fmt: skip

TRAFFIC = Sheet(
    id="traffic",
    title="Traffic",
    filters=("time", "route", "weather", "vehicle"),
    rows=(
        Row(
            height=9,
            visuals=(
                Visual(
                    id="speed-along-route", kind=Kind.LINE, title="Speed along the route", data_set="speed", width=36,
                    dimensions=(Dimension(column="km"),), measures=(SPEED,), color="route",
                ),
            ),
        ),
        Row(
            height=9,
            visuals=(
                Visual(
                    id="speed-by-hour", kind=Kind.BAR, title="Speed by hour of the day", data_set="speed", width=12,
                    dimensions=(Dimension(column="hour_of_day"),), measures=(SPEED,), color="route",
                ),
                Visual(
                    id="speed-by-weather", kind=Kind.BAR, title="Speed by weather", data_set="speed_weather", width=12,
                    dimensions=(Dimension(column="weather"),), measures=(SPEED,), color="route",
                ),
                Visual(
                    id="speed-by-place-and-hour", kind=Kind.HEAT_MAP, title="Speed by place and hour",
                    data_set="speed", width=12,
                    dimensions=(Dimension(column="from_km"), Dimension(column="hour_of_day")), measures=(SPEED,),
                ),
            ),
        ),
        Row(
            height=14,
            visuals=(
                Visual(
                    id="vehicle-map", kind=Kind.MAP, title="Speed on the road, by vehicle", data_set="track", width=24,
                    dimensions=PLACE_ON_MAP, measures=(SPEED,), color="speed_band", note="The last 24 hours",
                ),
                Visual(
                    id="speed-by-vehicle", kind=Kind.BAR, title="Speed by vehicle", data_set="track", width=12,
                    dimensions=(Dimension(column="vehicle"),), measures=(SPEED,), click_filters=True,
                    note="The last 24 hours; a click filters the map",
                ),
            ),
        ),
    ),
)  # fmt: skip

INCIDENT_SHEET = Sheet(
    id="incidents",
    title="Incidents",
    filters=("time", "route"),
    rows=(
        Row(
            height=9,
            visuals=(
                Visual(
                    id="incidents-by-type", kind=Kind.STACKED_BAR, title="By type and status", data_set="incidents",
                    width=12, dimensions=(Dimension(column="type"),), measures=(INCIDENTS,), color="status",
                    click_filters=True, note="A click filters the sheet",
                ),
                Visual(
                    id="response-by-type", kind=Kind.BAR, title="Response time by type", data_set="incidents", width=12,
                    dimensions=(Dimension(column="type"),), measures=(RESPONSE,), click_filters=True,
                ),
                Visual(
                    id="incidents-by-day", kind=Kind.LINE, title="Incidents by day", data_set="incidents", width=12,
                    dimensions=BY_DAY, measures=(INCIDENTS,), color="type",
                ),
            ),
        ),
        Row(
            height=14,
            visuals=(
                Visual(
                    id="incident-map", kind=Kind.MAP, title="Where", data_set="incidents", width=18,
                    dimensions=PLACE_ON_MAP, measures=(INCIDENTS,), color="type",
                ),
                Visual(
                    id="incident-table", kind=Kind.TABLE, title="All incidents", data_set="incidents", width=18,
                    columns=("moment", "type", "status", "severity", "response_minutes", "clearance_minutes", "place"),
                    newest_first="moment",
                ),
            ),
        ),
    ),
)  # fmt: skip

AIR = Sheet(
    id="air",
    title="Weather and air",
    filters=("time", "weather"),
    rows=(
        Row(
            height=10,
            visuals=(
                Visual(
                    id="temperature-by-place", kind=Kind.LINE, title="Temperature by place", data_set="places",
                    width=18, dimensions=BY_HOUR, measures=(TEMPERATURE,), color="place",
                ),
                Visual(
                    id="air-quality-by-place", kind=Kind.LINE, title="Air quality by place", data_set="places",
                    width=18, dimensions=BY_HOUR, measures=(AIR_QUALITY,), color="place",
                ),
            ),
        ),
        Row(
            height=12,
            visuals=(
                Visual(
                    id="worst-air-by-place", kind=Kind.BAR, title="Worst air quality by place", data_set="places",
                    width=12, dimensions=(Dimension(column="place"),), measures=(AIR_QUALITY,), click_filters=True,
                    note="A click filters the sheet",
                ),
                Visual(
                    id="air-map", kind=Kind.MAP, title="Where", data_set="places", width=12,
                    dimensions=PLACE_ON_MAP, measures=(AIR_QUALITY,), color="place",
                ),
                Visual(
                    id="rain-by-place", kind=Kind.BAR, title="Precipitation by place", data_set="places", width=12,
                    dimensions=(Dimension(column="place"),), measures=(PRECIPITATION,),
                ),
            ),
        ),
    ),
)  # fmt: skip

FUEL = Sheet(
    id="fuel",
    title="Fuel and drives",
    filters=("time", "route", "vehicle"),
    rows=(
        Row(
            height=9,
            visuals=(
                Visual(
                    id="fuel-by-type", kind=Kind.BAR, title="Fuel per 100 km", data_set="journeys", width=12,
                    dimensions=(Dimension(column="fuel_type"),), measures=(FUEL_PER_100_KM,), click_filters=True,
                    note="Of a tank or battery; a click filters the sheet",
                ),
                Visual(
                    id="fuel-by-day", kind=Kind.LINE, title="Fuel used by day", data_set="journeys", width=12,
                    dimensions=BY_DAY, measures=(FUEL_USED,), color="fuel_type",
                ),
                Visual(
                    id="fuel-by-vehicle", kind=Kind.BAR, title="Fuel used by vehicle", data_set="journeys", width=12,
                    dimensions=(Dimension(column="vehicle"),), measures=(FUEL_USED,), click_filters=True,
                ),
            ),
        ),
        Row(
            height=12,
            visuals=(
                Visual(
                    id="drives", kind=Kind.TABLE, title="Drives", data_set="journeys", width=36,
                    columns=(
                        "moment", "vehicle", "make", "model", "fuel_type", "route", "distance", "duration_minutes",
                        "mean_speed", "stops", "fuel_used",
                    ),
                    newest_first="moment",
                ),
            ),
        ),
    ),
)  # fmt: skip

CAMERAS = Sheet(
    id="cameras",
    title="Cameras",
    filters=("time", "route"),
    rows=(
        Row(
            height=9,
            visuals=(
                Visual(
                    id="vehicles-by-time", kind=Kind.LINE, title="Vehicles in view by hour", data_set="cameras",
                    width=24, dimensions=BY_HOUR, measures=(VEHICLES_IN_VIEW,), color="camera",
                ),
                Visual(
                    id="frames-by-camera", kind=Kind.BAR, title="Frames by camera", data_set="cameras", width=12,
                    dimensions=(Dimension(column="camera"),), measures=(FRAMES,), click_filters=True,
                    note="A click filters the sheet",
                ),
            ),
        ),
        Row(
            height=14,
            visuals=(
                Visual(
                    id="camera-table", kind=Kind.TABLE, title="Cameras and their newest frames", data_set="cameras",
                    width=36, columns=("moment", "camera", "place", "route", "frames", "vehicles", "frame"),
                    newest_first="moment", link=Link(column="frame", text="open the frame"),
                    note="The link opens the S3 console: it asks for a sign-in that may read frames",
                ),
            ),
        ),
    ),
)  # fmt: skip

DASHBOARD = Dashboard(
    title="Smart city",
    data_sets=DATA_SETS,
    filters=FILTERS,
    sheets=(CITY, TRAFFIC, INCIDENT_SHEET, AIR, FUEL, CAMERAS),
)
