"""int8: calibration, parameters, and the methods that keep it close to the network."""
