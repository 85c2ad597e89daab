"""One partition for each video; its key is the video id."""

import dagster as dg

videos = dg.DynamicPartitionsDefinition(name="videos")
