package cdc;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Columns whose names differ by case only. Debezium ends its task at the Relation message of such a table, and so
 * every table. Here the names are told apart, by a sign that no name of a column that is copied has; a table
 * that has it is then withheld. cdc leaves it out of the publication as soon as it sees it.
 */
public final class SameNames {
    private static final char SIGN = '\u0001';

    private SameNames() {}

    /** Whether Debezium would take two of them for one. */
    public static boolean among(List<String> names) {
        Set<String> seen = new HashSet<>();
        return names.stream().anyMatch(name -> name.indexOf(SIGN) >= 0 || !seen.add(name.toLowerCase()));
    }

    /** The message, with other names where it is a Relation message that has some of that kind. */
    public static ByteBuffer toldApart(ByteBuffer message) {
        int start = message.position();
        if (!message.hasRemaining() || message.get(start) != 'R') return message;
        ByteBuffer read = message.duplicate();
        read.position(start + 1 + Integer.BYTES);
        text(read);
        text(read);
        // The replica identity stands before the number of the columns.
        read.get();
        int columns = read.getShort();
        int head = read.position();
        List<String> names = new ArrayList<>();
        List<byte[]> rest = new ArrayList<>();
        for (int i = 0; i < columns; i += 1) {
            byte flags = read.get();
            names.add(text(read));
            byte[] type = new byte[1 + 2 * Integer.BYTES];
            type[0] = flags;
            read.get(type, 1, 2 * Integer.BYTES);
            rest.add(type);
        }
        if (!among(names)) return message;
        ByteBuffer told = ByteBuffer.allocate(message.remaining() + columns * 8);
        told.put(message.slice(start, head - start));
        for (int i = 0; i < columns; i += 1) {
            byte[] type = rest.get(i);
            told.put(type[0]);
            told.put((names.get(i) + SIGN + i).getBytes(StandardCharsets.UTF_8)).put((byte) 0);
            told.put(type, 1, type.length - 1);
        }
        return told.flip();
    }

    private static String text(ByteBuffer buffer) {
        int start = buffer.position();
        while (buffer.get() != 0) {
            // Up to the byte that ends it.
        }
        byte[] bytes = new byte[buffer.position() - start - 1];
        buffer.get(start, bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
