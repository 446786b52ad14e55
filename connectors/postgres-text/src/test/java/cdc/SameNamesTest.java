package cdc;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;

class SameNamesTest {
    /** pgoutput's Relation message; column i has the type 100 + i and the modifier -1 - i. */
    private static byte[] relation(String... columns) {
        ByteBuffer buffer = ByteBuffer.allocate(1000);
        buffer.put((byte) 'R').putInt(16_385);
        text(buffer, "public");
        text(buffer, "täble");
        buffer.put((byte) 'd').putShort((short) columns.length);
        for (int i = 0; i < columns.length; i += 1) {
            buffer.put((byte) (i == 0 ? 1 : 0));
            text(buffer, columns[i]);
            buffer.putInt(100 + i).putInt(-1 - i);
        }
        byte[] bytes = new byte[buffer.position()];
        buffer.get(0, bytes);
        return bytes;
    }

    private static void text(ByteBuffer buffer, String text) {
        buffer.put(text.getBytes(UTF_8)).put((byte) 0);
    }

    private static byte[] rest(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    @Test
    void namesThatDifferByCaseOnlyAreOneForDebezium() {
        assertTrue(SameNames.among(List.of("key", "id", "Key")));
        assertTrue(SameNames.among(List.of("größe", "GRÖßE")));
        assertFalse(SameNames.among(List.of("key", "keys", "")));
        assertFalse(SameNames.among(List.of()));
    }

    @Test
    void aTableWithoutSuchComesAsItIs() {
        ByteBuffer message = ByteBuffer.wrap(relation("id", "name"));
        assertSame(message, SameNames.toldApart(message));
        assertEquals(0, message.position());
    }

    @Test
    void otherMessagesAreNotLookedInto() {
        for (String text : List.of("", "B", "I\u0000\u0000\u0000\u0001N", "D")) {
            ByteBuffer message = ByteBuffer.wrap(text.getBytes(UTF_8));
            assertSame(message, SameNames.toldApart(message));
        }
    }

    @Test
    void namesAreToldApartAndAllElseStays() {
        ByteBuffer told = SameNames.toldApart(ByteBuffer.wrap(relation("Key", "key", "ä")));
        assertArrayEquals(relation("Key\u00010", "key\u00011", "ä\u00012"), rest(told));
    }

    @Test
    void aMessageMayBeginWithinItsBuffer() {
        byte[] message = relation("a", "A");
        ByteBuffer buffer =
                ByteBuffer.allocate(message.length + 7).position(7).put(message).position(7);
        assertArrayEquals(relation("a\u00010", "A\u00011"), rest(SameNames.toldApart(buffer)));
    }

    @Test
    void manyColumnsFit() {
        String[] names = new String[60];
        String[] expected = new String[60];
        for (int i = 0; i < names.length; i += 1) {
            names[i] = i % 2 == 0 ? "x" + i : "X" + (i - 1);
            expected[i] = names[i] + "\u0001" + i;
        }
        assertArrayEquals(relation(expected), rest(SameNames.toldApart(ByteBuffer.wrap(relation(names)))));
    }

    @Test
    void aTableWhoseNamesWereToldApartIsKnownByThem() {
        assertTrue(SameNames.among(List.of("Key\u00010", "key\u00011")));
    }
}
