package org.ailsr.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Map;
import org.junit.Test;

public final class JsonTest {
  @Test
  public void whatWasWrittenIsReadBack() {
    String text = "{\"a\": [1, -2.5, 1e-7, true, null, \"\\u00e4\\n\\\"\"], \"b\": {}, \"c\": []}";
    Object value = Json.parse(text);
    assertEquals(value, Json.parse(Json.write(value)));
    Map<?, ?> object = (Map<?, ?>) value;
    assertEquals("[1, -2.5, 1.0E-7, true, null, ä\n\"]", object.get("a").toString());
  }

  @Test
  public void infiniteNumbersBecomeNull() {
    assertEquals("null\n", Json.write(Double.POSITIVE_INFINITY));
  }

  @Test
  public void whatIsNoJsonIsRefused() {
    StringBuilder deep = new StringBuilder();
    for (int i = 0; i < 100000; i++) {
      deep.append('[');
    }
    for (String text : new String[] {
      "", "{", "[1", "{\"a\" 1}", "nul", "01x", "\"\\u12g4\"", "[] 1", deep.toString()
    }) {
      assertThrows(text, AilsrException.class, () -> Json.parse(text));
    }
  }

  @Test
  public void aFieldOfAnotherTypeIsNamed() {
    Fields fields = Fields.parse("{\"runs\": \"many\", \"big\": 5000000000}");
    AilsrException error = assertThrows(AilsrException.class, () -> fields.integer("runs"));
    assertTrue(error.getMessage(), error.getMessage().contains("'runs' is many"));
    assertThrows(AilsrException.class, () -> fields.integer("big"));
  }
}
