"""int8: calibration, parameters, and the means that keep it close to the network."""
