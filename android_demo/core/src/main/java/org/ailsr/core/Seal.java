package org.ailsr.core;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;

/** The SHA-256 of an exported file, inside it: tells damage before an engine meets it. */
final class Seal {
  private static final byte[] PREFIX = "ailsr-sha256:".getBytes(StandardCharsets.US_ASCII);
  private static final int LENGTH = 64;

  private Seal() {}

  /**
   * Whether {@code content} is sealed.
   *
   * @throws AilsrException when the seal is not that of its bytes
   */
  static boolean check(byte[] content) {
    int at = find(content);
    if (at < 0 || at + LENGTH > content.length) {
      return false;
    }
    MessageDigest digest = sha256();
    digest.update(content, 0, at);
    digest.update(zeros());
    digest.update(content, at + LENGTH, content.length - at - LENGTH);
    String found = new String(content, at, LENGTH, StandardCharsets.ISO_8859_1);
    if (!found.equals(hex(digest.digest()))) {
      throw new AilsrException(
          "it is damaged (its bytes are not those that were exported, their SHA-256 differs): "
              + "copy or export it again");
    }
    return true;
  }

  /** Hexadecimal SHA-256. */
  static String sha256(byte[] content) {
    return hex(sha256().digest(content));
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException error) {
      throw new IllegalStateException(error); // every Java has it
    }
  }

  private static String hex(byte[] digest) {
    StringBuilder text = new StringBuilder();
    for (byte value : digest) {
      text.append(Character.forDigit(value >> 4 & 15, 16)).append(
          Character.forDigit(value & 15, 16));
    }
    return text.toString();
  }

  private static byte[] zeros() {
    byte[] zeros = new byte[LENGTH];
    Arrays.fill(zeros, (byte) '0');
    return zeros;
  }

  /** Where the digest begins, after the first PREFIX; -1 when there is none. */
  private static int find(byte[] content) {
    search:
    for (int at = 0; at <= content.length - PREFIX.length; at++) {
      for (int i = 0; i < PREFIX.length; i++) {
        if (content[at + i] != PREFIX[i]) {
          continue search;
        }
      }
      return at + PREFIX.length;
    }
    return -1;
  }
}
