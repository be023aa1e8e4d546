"""Imported by every Python that has this folder in PYTHONPATH: the contract as it would be one nullable field later.

Python imports it before anything of a component, so that bridge, lake, and Spark's own Python all see one contract.
"""

import dataclasses

from smartcity.contracts import streams
from smartcity.contracts.fields import nullable

UV_INDEX = nullable("UV index", minimum=0, maximum=20)

grown = dataclasses.replace(
    streams.WEATHER,
    contract=dataclasses.make_dataclass(
        "Weather",
        [("uv_index", float | None, UV_INDEX)],
        bases=(streams.Weather,),
        frozen=True,
        slots=True,
        kw_only=True,
    ),
)
streams.WEATHER = grown
streams.STREAMS = tuple(grown if stream.name == grown.name else stream for stream in streams.STREAMS)
streams.STREAM_BY_NAME[grown.name] = grown
streams.STREAM_BY_LEAF[grown.leaf] = grown
streams.STREAM_BY_KAFKA_TOPIC[grown.kafka_topic] = grown
