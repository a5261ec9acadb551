"""What a fitted model allows to conclude: functions of a result."""
