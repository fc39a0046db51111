package org.ailsr.core;

import java.util.LinkedHashMap;
import java.util.Map;

/** The machine that measures, as far as it tells; null stands for what it does not tell. */
public abstract class Device {
  /** Name of the phone or board. */
  protected abstract String name();

  /** Name of the processor. */
  protected abstract String cpu();

  protected abstract String os();

  /** Temperature in °C, of the battery where the processor's is hidden. */
  protected abstract Double temperature();

  /** Percent. */
  protected abstract Integer battery();

  /** Android's word for it: none, light, moderate, severe, critical, emergency, shutdown. */
  protected abstract String thermalStatus();

  /** Android's forecast: 1 is where severe throttling begins. */
  protected abstract Double thermalHeadroom();

  /** CPU cores that may be used. */
  public int cores() {
    return Runtime.getRuntime().availableProcessors();
  }

  /** The {@code host} of a report. */
  Map<String, Object> host() {
    Map<String, Object> host = new LinkedHashMap<>();
    host.put("cpu", cpu());
    host.put("cores", cores());
    host.put("memory_bytes", Proc.memoryBytes());
    host.put("os", os());
    host.put("machine", System.getProperty("os.arch"));
    host.put("python", null);
    host.put("governor", Proc.governor());
    host.put("load_average", null);
    host.put("device", name());
    return host;
  }

  /** The state of the machine now, as the {@code conditions} of a report hold it. */
  public Map<String, Object> condition() {
    Map<String, Object> condition = new LinkedHashMap<>();
    condition.put("clock_mhz", Proc.clockMhz());
    condition.put("temperature_c", temperature());
    condition.put("battery_percent", battery());
    condition.put("thermal_status", thermalStatus());
    condition.put("thermal_headroom", thermalHeadroom());
    condition.put("governor", Proc.governor());
    return condition;
  }
}
