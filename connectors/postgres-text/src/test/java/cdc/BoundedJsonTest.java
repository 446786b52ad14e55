package cdc;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;
import java.util.ServiceLoader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;
import org.junit.jupiter.api.Test;

class BoundedJsonTest {
    private static final Schema ROW = SchemaBuilder.struct()
            .optional()
            .field("id", Schema.INT64_SCHEMA)
            .field("note", Schema.OPTIONAL_STRING_SCHEMA)
            .build();
    private static final Schema SOURCE =
            SchemaBuilder.struct().field("lsn", Schema.INT64_SCHEMA).build();
    private static final Schema CHANGE = SchemaBuilder.struct()
            .field("before", ROW)
            .field("after", ROW)
            .field("source", SOURCE)
            .field("op", Schema.STRING_SCHEMA)
            .build();

    private static BoundedJson bounded(long bytes) {
        BoundedJson json = new BoundedJson();
        json.configure(Map.of("schemas.enable", "false", "message", "full", "max.bytes", String.valueOf(bytes)), false);
        return json;
    }

    private static byte[] plain(Object change) {
        JsonConverter json = new JsonConverter();
        json.configure(Map.of("schemas.enable", "false"), false);
        return json.fromConnectData("t", CHANGE, change);
    }

    private static Struct update(String before, String after) {
        return new Struct(CHANGE)
                .put("before", new Struct(ROW).put("id", 1L).put("note", before))
                .put("after", new Struct(ROW).put("id", 1L).put("note", after))
                .put("source", new Struct(SOURCE).put("lsn", 77L))
                .put("op", "u");
    }

    private static JsonNode read(byte[] json) throws Exception {
        return new ObjectMapper().readTree(json);
    }

    @Test
    void whatFitsIsConnectsOwnJson() {
        Struct change = update("a", "b");
        byte[] expected = plain(change);
        assertArrayEquals(expected, bounded(expected.length).fromConnectData("t", CHANGE, change));
        assertArrayEquals(expected, bounded(expected.length).fromConnectData("t", new RecordHeaders(), CHANGE, change));
    }

    @Test
    void aTombstoneHasNoSize() {
        assertNull(bounded(0).fromConnectData("t", null, null));
    }

    @Test
    void oneByteMoreThanFitsGoesWithoutItsRow() throws Exception {
        Struct change = update("a", "b");
        int size = plain(change).length;
        JsonNode sent = read(bounded(size - 1).fromConnectData("t", CHANGE, change));
        assertEquals("too large, u, " + size + " bytes", sent.get("op").textValue());
        assertTrue(sent.get("before").isNull());
        assertTrue(sent.get("after").isNull());
        assertEquals(77, sent.get("source").get("lsn").intValue());
    }

    @Test
    void bytesCountNotCharacters() throws Exception {
        Struct change = update(null, "€".repeat(100));
        int size = plain(change).length;
        assertTrue(size > 300);
        JsonNode sent = read(bounded(299).fromConnectData("t", new RecordHeaders(), CHANGE, change));
        assertEquals("too large, u, " + size + " bytes", sent.get("op").textValue());
    }

    @Test
    void textsThatAreTooLongAloneAreNotMadeIntoJson() throws Exception {
        // The size told is then that of the texts of both rows, and of op.
        JsonNode sent = read(bounded(1000).fromConnectData("t", CHANGE, update("x".repeat(600), "y".repeat(600))));
        assertEquals("too large, u, 1201 bytes", sent.get("op").textValue());
        assertTrue(sent.get("before").isNull());
        assertTrue(sent.get("after").isNull());
    }

    @Test
    void theChangeItselfStaysAsItWas() {
        Struct change = update("a", "b".repeat(2000));
        bounded(1000).fromConnectData("t", CHANGE, change);
        assertEquals("u", change.getString("op"));
        assertEquals("b".repeat(2000), change.getStruct("after").getString("note"));
    }

    @Test
    void whatItWroteItReads() {
        byte[] json = "{\"id\":1}".getBytes(UTF_8);
        assertEquals(Map.of("id", 1L), bounded(10).toConnectData("t", json).value());
    }

    @Test
    void connectFindsItWithoutLookingAtEveryClass() {
        assertFalse(ServiceLoader.load(Converter.class).stream()
                .filter(one -> one.type() == BoundedJson.class)
                .toList()
                .isEmpty());
    }
}
