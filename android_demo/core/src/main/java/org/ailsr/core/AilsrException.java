package org.ailsr.core;

/** What a user can do something about; the message is one line that says what happened. */
public final class AilsrException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public AilsrException(String message) {
    super(message);
  }

  public AilsrException(String message, Throwable cause) {
    super(message, cause);
  }

  /** One line for any error: the message of ours, the kind and message of others. */
  public static String lineOf(Throwable error) {
    String message = error.getMessage() == null ? "" : error.getMessage();
    if (error instanceof OutOfMemoryError) {
      message = "out of memory";
    } else if (!(error instanceof AilsrException)) {
      message = error.getClass().getSimpleName() + (message.isEmpty() ? "" : ": " + message);
    }
    return message.trim().replaceAll("\\s+", " ");
  }
}
