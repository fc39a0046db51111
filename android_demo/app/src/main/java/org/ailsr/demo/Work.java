package org.ailsr.demo;

import android.os.Handler;
import android.os.Looper;
import org.ailsr.core.AilsrException;
import org.ailsr.core.Progress;

/**
 * One piece of work at a time on a thread of its own, which outlives the activity that shows it.
 * Everything here but {@link Task#run} happens on the main thread.
 */
final class Work {
  /** What is done in the background. */
  interface Task {
    void run(Progress progress);
  }

  /** Shows how it goes. */
  interface Listener {
    void onWorkChanged();
  }

  private final Handler main = new Handler(Looper.getMainLooper());
  private final String threadName;
  private Listener listener;
  private Token current;
  private Token latest;

  /** Null: nothing was reported yet. */
  String step;

  int done;
  int of;

  /** Of the last piece of work: what went wrong, in one line; null: nothing did. */
  String error;

  Work(String threadName) {
    this.threadName = threadName;
  }

  /** Is told of changes from now on; null: no one is. */
  void listen(Listener newListener) {
    listener = newListener;
  }

  boolean isRunning() {
    return current != null;
  }

  /** Ends the work at the next step that it reports. */
  void cancel() {
    if (current != null) {
      current.cancelled = true;
      current = null;
      changed();
    }
  }

  /** Starts {@code task}; what was running is cancelled. {@code then} follows success. */
  void start(final Task task, final Runnable then) {
    cancel();
    final Token before = latest;
    final Token token = new Token();
    current = token;
    latest = token;
    step = null;
    error = null;
    Thread thread = new Thread(threadName) {
      @Override
      public void run() {
        String failure = null;
        try {
          if (before != null) {
            before.ended.await();
          }
          task.run(token);
        } catch (Progress.Cancelled cancelled) {
          return;
        } catch (InterruptedException interrupted) {
          return;
        } catch (RuntimeException | OutOfMemoryError failed) {
          failure = AilsrException.lineOf(failed);
        } finally {
          token.ended.countDown();
        }
        finished(token, failure, then);
      }
    };
    thread.start();
    changed();
  }

  private void finished(final Token token, final String failure, final Runnable then) {
    main.post(new Runnable() {
      @Override
      public void run() {
        if (token == current) {
          current = null;
          error = failure;
          if (failure == null) {
            then.run();
          }
          changed();
        }
      }
    });
  }

  private void changed() {
    if (listener != null) {
      listener.onWorkChanged();
    }
  }

  /** One piece of work. */
  private final class Token implements Progress {
    final java.util.concurrent.CountDownLatch ended = new java.util.concurrent.CountDownLatch(1);
    volatile boolean cancelled;

    @Override
    public void report(final String what, final int stepsDone, final int steps) {
      if (cancelled) {
        throw new Cancelled();
      }
      main.post(new Runnable() {
        @Override
        public void run() {
          if (Token.this == current) {
            step = what;
            done = stepsDone;
            of = steps;
            changed();
          }
        }
      });
    }
  }
}
