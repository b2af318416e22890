package magnetar;

import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;

/** Puts the time before each line that a program prints, in the form of log4j's records. A Java agent: it runs first. */
public final class TimedOutput extends OutputStream {
  private static final int LINE_END = '\n';
  private final OutputStream out;
  private final String name;
  private DateTimeFormatter time;
  private boolean withinLine;

  private TimedOutput(FileDescriptor descriptor, String name) {
    this.out = new FileOutputStream(descriptor);
    this.name = name;
  }

  public static void premain(String arguments) throws IOException {
    System.setOut(stream(FileDescriptor.out, "stdout"));
    System.setErr(stream(FileDescriptor.err, "stderr"));
  }

  private static PrintStream stream(FileDescriptor descriptor, String name) throws IOException {
    return new PrintStream(new TimedOutput(descriptor, name), true, StandardCharsets.UTF_8.name());
  }

  @Override
  public void write(int one) throws IOException {
    write(new byte[] {(byte) one}, 0, 1);
  }

  /** Writes all with one call of the system, so that lines of two threads do not mix. */
  @Override
  public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
    ByteArrayOutputStream lines = new ByteArrayOutputStream(length + 64);
    for (int begin = offset, end; begin < offset + length; begin = end) {
      end = endOfLine(bytes, begin, offset + length);
      if (!withinLine) {
        lines.write(head().getBytes(StandardCharsets.UTF_8));
      }
      lines.write(bytes, begin, end - begin);
      withinLine = bytes[end - 1] != LINE_END;
    }
    lines.writeTo(out);
  }

  private static int endOfLine(byte[] bytes, int begin, int limit) {
    int end = begin;
    while (end < limit && bytes[end] != LINE_END) {
      end++;
    }
    return Math.min(end + 1, limit);
  }

  private String head() {
    if (time == null) {
      time = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss,SSSxx");
    }
    return time.format(ZonedDateTime.now()) + " [" + Thread.currentThread().getName() + "] INFO  " + name + " - ";
  }
}
