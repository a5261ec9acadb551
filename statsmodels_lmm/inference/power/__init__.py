"""Power of tests, from planned parameters and sizes of a study."""
