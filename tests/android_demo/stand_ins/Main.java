import android.graphics.Bitmap;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.ailsr.core.AilsrException;
import org.ailsr.core.Progress;

/**
 * {@code Main MODEL WIDTH HEIGHT PIXELS RESULT [LAST]}: gives the RGBA pixels in a file to the
 * example of the page as a bitmap, and writes those of the bitmap that it returns. Prints what
 * progress is told; it is cancelled at step LAST.
 */
final class Main {
  public static void main(String[] arguments) throws Exception {
    byte[] model = Files.readAllBytes(Paths.get(arguments[0]));
    Bitmap small = Bitmap.createBitmap(
        Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]), Bitmap.Config.ARGB_8888);
    small.copyPixelsFromBuffer(ByteBuffer.wrap(Files.readAllBytes(Paths.get(arguments[3]))));
    int last = arguments.length > 5 ? Integer.parseInt(arguments[5]) : -1;
    Progress progress = new Progress() {
      @Override
      public void report(String what, int done, int of) {
        System.out.println(what + " " + done + " " + of);
        if (done == last) {
          throw new Progress.Cancelled();
        }
      }
    };
    Bitmap large;
    try {
      large = Sharper.upscale(model, small, progress);
    } catch (Progress.Cancelled cancelled) {
      System.out.println("cancelled");
      return;
    } catch (AilsrException error) {
      System.err.println("error: " + error.getMessage());
      System.exit(1);
      return;
    }
    ByteBuffer pixels = ByteBuffer.allocate(large.getByteCount());
    large.copyPixelsToBuffer(pixels);
    Path result = Paths.get(arguments[4]);
    Files.write(result, pixels.array());
    System.out.println(large.getWidth() + "x" + large.getHeight());
  }
}
