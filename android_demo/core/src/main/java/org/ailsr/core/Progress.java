package org.ailsr.core;

/** Called as work goes on. It may throw {@link Cancelled} to end it. */
public interface Progress {
  /**
   * @param what what comes next
   * @param done steps that are done
   * @param of steps in all
   */
  void report(String what, int done, int of);

  /** Says nothing. */
  Progress NONE = new Progress() {
    @Override
    public void report(String what, int done, int of) {}
  };

  /** The work is not wanted any more. */
  final class Cancelled extends RuntimeException {
    private static final long serialVersionUID = 1;
  }
}
