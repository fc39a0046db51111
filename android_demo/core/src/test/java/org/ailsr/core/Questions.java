package org.ailsr.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Questions of the Python tests, each with a handler that answers it. */
final class Questions {
  /** Answers questions of one name. */
  interface Handler {
    Object answer(Fields question) throws IOException;
  }

  private final Map<String, Handler> handlers = new LinkedHashMap<>();

  /** Has {@code handler} answer those named {@code name}. */
  Questions on(String name, Handler handler) {
    handlers.put(name, handler);
    return this;
  }

  /** Answers the list of questions on standard input on standard output. */
  void answer() throws IOException {
    String text = new String(BenchFolder.readAll(System.in), StandardCharsets.UTF_8);
    List<Object> answers = new ArrayList<>();
    for (Object question : (List<?>) Json.parse(text)) {
      Fields fields = Fields.of(question);
      Handler handler = handlers.get(fields.text("ask"));
      if (handler == null) {
        throw new AilsrException("no such question: " + fields.text("ask"));
      }
      answers.add(handler.answer(fields));
    }
    System.out.print(Json.write(answers));
  }
}
