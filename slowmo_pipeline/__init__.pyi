from slowmo_pipeline.errors import SlowmoError as SlowmoError
from slowmo_pipeline.machine.slow_motion import Result as Result
from slowmo_pipeline.machine.slow_motion import slow_motion as slow_motion
from slowmo_pipeline.machine.slow_motion import write_frames as write_frames
from slowmo_pipeline.settings import SlowMotionSettings as SlowMotionSettings

__all__ = ["Result", "SlowMotionSettings", "SlowmoError", "slow_motion", "write_frames"]
