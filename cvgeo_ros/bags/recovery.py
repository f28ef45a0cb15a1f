"""What is whole of an MCAP file that was cut off: a recording that was killed, a full disk, a copy that broke."""

from pathlib import Path

from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from cvgeo_ros.errors import BagError

_LARGEST = 1 << 30


def recover(source: Path, target: Path) -> int:
    """Copy all messages before the first damage into a new file; returns how many.

    Raises:
        BagError: There are none.
    """
    schemas: dict[int, int] = {0: 0}
    channels: dict[int, int] = {}
    count = 0
    reason = "it holds no message"
    with source.open("rb") as damaged, target.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start(profile="ros2")
        try:
            for record in StreamReader(damaged, validate_crcs=True, record_size_limit=_LARGEST).records:
                if isinstance(record, Schema):
                    schemas[record.id] = writer.register_schema(record.name, record.encoding, record.data)
                elif isinstance(record, Channel) and record.id not in channels:
                    channels[record.id] = writer.register_channel(
                        record.topic, record.message_encoding, schemas[record.schema_id], record.metadata
                    )
                elif isinstance(record, Message):
                    writer.add_message(
                        channels[record.channel_id],
                        record.log_time,
                        record.data,
                        record.publish_time,
                        record.sequence,
                    )
                    count += 1
        # Past the damage, bytes mean anything: whatever the parser stumbles over ends the recording here.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        writer.finish()
    if not count:
        raise BagError(f"{source}: not a readable bag ({reason})")
    return count
