package org.ailsr.core;

/** The version of ailsr that this app belongs to. */
public final class Version {
  public static final String NAME = "0.1.0";

  private Version() {}
}
