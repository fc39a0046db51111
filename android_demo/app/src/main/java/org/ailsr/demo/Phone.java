package org.ailsr.demo;

import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.os.BatteryManager;
import android.os.Build;
import android.os.PowerManager;
import java.util.Arrays;
import org.ailsr.core.Device;
import org.ailsr.core.Proc;

/** This phone or tablet. */
final class Phone extends Device {
  private static final String[] THERMAL_STATUS = {
    "none", "light", "moderate", "severe", "critical", "emergency", "shutdown"
  };
  private static final int FORECAST_SECONDS = 10;

  private final Context context;

  Phone(Context context) {
    this.context = context;
  }

  @Override
  protected String name() {
    return Build.MANUFACTURER + " " + Build.MODEL;
  }

  @Override
  protected String cpu() {
    if (Build.VERSION.SDK_INT >= 31) {
      try {
        String maker = (String) Build.class.getField("SOC_MANUFACTURER").get(null);
        return maker + " " + Build.class.getField("SOC_MODEL").get(null);
      } catch (ReflectiveOperationException error) {
        // then as on older ones
      }
    }
    String cpu = Proc.cpu();
    return cpu == null ? Build.HARDWARE : cpu;
  }

  @Override
  protected String os() {
    return "Android " + Build.VERSION.RELEASE + " (API " + Build.VERSION.SDK_INT + ")";
  }

  @Override
  protected Double temperature() {
    Intent battery = batteryState();
    int tenths = battery == null
        ? Integer.MIN_VALUE
        : battery.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, Integer.MIN_VALUE);
    return tenths == Integer.MIN_VALUE ? null : Double.valueOf(tenths / 10.0);
  }

  @Override
  protected Integer battery() {
    Intent battery = batteryState();
    if (battery == null) {
      return null;
    }
    int level = battery.getIntExtra(BatteryManager.EXTRA_LEVEL, -1);
    int scale = battery.getIntExtra(BatteryManager.EXTRA_SCALE, -1);
    return level < 0 || scale < 1 ? null : Integer.valueOf(100 * level / scale);
  }

  private Intent batteryState() {
    return context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
  }

  @Override
  protected String thermalStatus() {
    Object status = Build.VERSION.SDK_INT < 29 ? null : power("getCurrentThermalStatus");
    if (!(status instanceof Integer)) {
      return null;
    }
    int number = (Integer) status;
    return number < 0 || number >= THERMAL_STATUS.length
        ? String.valueOf(number)
        : THERMAL_STATUS[number];
  }

  @Override
  protected Double thermalHeadroom() {
    Object headroom =
        Build.VERSION.SDK_INT < 30 ? null : power("getThermalHeadroom", FORECAST_SECONDS);
    if (!(headroom instanceof Float) || ((Float) headroom).isNaN()) {
      return null;
    }
    return ((Float) headroom).doubleValue();
  }

  /** What a method of PowerManager returns that the oldest supported Android lacks. */
  private Object power(String method, Integer... argument) {
    PowerManager power = (PowerManager) context.getSystemService(Context.POWER_SERVICE);
    Class<?>[] types = new Class<?>[argument.length];
    Arrays.fill(types, int.class);
    try {
      return PowerManager.class.getMethod(method, types).invoke(power, (Object[]) argument);
    } catch (ReflectiveOperationException error) {
      return null;
    }
  }
}
