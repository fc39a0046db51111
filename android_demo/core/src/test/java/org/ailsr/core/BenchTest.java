package org.ailsr.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** What measuring needs: statistics, requests, the folder, the machine. */
public final class BenchTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  @Test
  public void theMedianOfOneToHundredHasTheRanksOfConover() {
    double[] samples = new double[100];
    for (int i = 0; i < 100; i++) {
      samples[i] = 100 - i;
    }
    Latency latency = new Latency(samples, 7, true);
    assertEquals(50.5, latency.p50, 0);
    assertEquals(90.1, latency.p90, 1e-12);
    assertEquals(29.011, latency.sd, 1e-3);
    assertEquals(40, latency.p50Low, 0);
    assertEquals(61, latency.p50High, 0);
  }

  @Test
  public void callsAreMeasuredInTurn() {
    StringBuilder order = new StringBuilder();
    Runnable[] calls = {() -> order.append('a'), () -> order.append('b')};
    Latency[] latencies = Sampler.measure(calls, 20, 10);
    assertEquals(20, latencies[1].samples.length);
    assertTrue(order.toString().matches("(ab)+"));
    assertEquals(2 * (20 + latencies[0].warmUpRuns), order.length());
  }

  @Test
  public void aRequestSurvivesItsJson() {
    Request request = new Request();
    request.files.add(new Request.File("m5.tflite", "00ff"));
    request.sustainedMinutes = 1.5;
    request.pictures.put(
        3, java.util.Collections.singletonList(new Request.Photograph("cat", null, "11ee")));
    String text = request.toJson("one");
    assertEquals(text, Request.parse(text).toJson("one"));
  }

  @Test
  public void contentIsFoundByItsDigestAndDamageIsNoticed() throws IOException {
    BenchFolder bench = new BenchFolder(folder.getRoot());
    byte[] content = {1, 2, 3};
    String sha256 = bench.add(content);
    assertArrayEquals(content, bench.content("numbers", sha256));
    File stored = new File(folder.getRoot(), "files/" + sha256);
    Files.write(stored.toPath(), new byte[] {1, 2, 4});
    AilsrException error =
        assertThrows(AilsrException.class, () -> bench.content("numbers", sha256));
    assertTrue(error.getMessage(), error.getMessage().contains("numbers was damaged"));
  }

  @Test
  public void aCancelIsAnsweredToo() throws IOException {
    BenchFolder bench = new BenchFolder(folder.getRoot());
    Request request = new Request();
    request.files.add(new Request.File("m5.tflite", bench.add(new byte[] {1})));
    request.threads = 1;
    bench.ask("one", request);
    Progress cancelling = (what, done, of) -> {
      throw new Progress.Cancelled();
    };
    assertThrows(
        Progress.Cancelled.class, () -> bench.serve("one", null, null, cancelling));
    String report =
        new String(Files.readAllBytes(bench.file("reports", "one").toPath()), "UTF-8");
    assertTrue(report, Fields.parse(report).text("error").contains("cancelled"));
  }

  @Test
  public void aRequestHasNoWayOutOfTheFolder() {
    BenchFolder bench = new BenchFolder(folder.getRoot());
    for (String id : new String[] {"../x", "a/b", "", ".hidden"}) {
      assertThrows(id, AilsrException.class, () -> bench.file("reports", id));
    }
    assertThrows(AilsrException.class, () -> bench.content("x", "../requests/one.json"));
  }

  @Test
  public void damagedModelsAreRefusedInOneLine() {
    byte[] noModel = "\u0000\u0000\u0000\u0000TFL3".getBytes(
        java.nio.charset.StandardCharsets.ISO_8859_1);
    for (byte[] content : new byte[][] {{}, {1, 2, 3}, noModel}) {
      AilsrException error =
          assertThrows(AilsrException.class, () -> new ModelFile("m.tflite", content));
      assertTrue(error.getMessage(), error.getMessage().startsWith("m.tflite: it is "));
      assertFalse(error.getMessage().contains("\n"));
    }
  }

  @Test
  public void linuxTellsTheMemoryOfAProcess() {
    assertTrue(Proc.peakBytes("self") > 10_000_000);
    assertTrue(Proc.memoryBytes() > Proc.peakBytes("self"));
  }
}
