package cdc;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.junit.jupiter.api.Test;

/** The same bytes as JsonConverter's, for whatever can be written; and less of a change. */
class JsonWriterTest {
    private static final Schema.Type[] SIMPLE = {
        Schema.Type.INT8,
        Schema.Type.INT16,
        Schema.Type.INT32,
        Schema.Type.INT64,
        Schema.Type.FLOAT32,
        Schema.Type.FLOAT64,
        Schema.Type.BOOLEAN,
        Schema.Type.STRING,
        Schema.Type.BYTES
    };

    private static JsonConverter connects() {
        JsonConverter json = new JsonConverter();
        json.configure(Map.of("schemas.enable", "false", "replace.null.with.default", "false"), false);
        return json;
    }

    private static JsonWriter writer(boolean isWhole) {
        return new JsonWriter(connects(), Long.MAX_VALUE, isWhole);
    }

    private static void same(Schema schema, Object value) {
        same(writer(true), schema, value);
    }

    private static void same(JsonWriter writer, Schema schema, Object value) {
        assertEquals(
                new String(connects().fromConnectData("t", schema, value), UTF_8),
                new String(writer.write(schema, value), UTF_8));
    }

    @Test
    void everyTextIsEscapedAsJacksonDoes() {
        StringBuilder all = new StringBuilder();
        for (int point = 0; point < 0x300; point++) all.appendCodePoint(point);
        all.append("\u2028\u2029\uFEFF\uFFFF€😀\uDBFF\uDFFF");
        same(Schema.STRING_SCHEMA, all.toString());
        same(Schema.STRING_SCHEMA, "");
        same(Schema.STRING_SCHEMA, "\u0001".repeat(5000));
        same(Schema.STRING_SCHEMA, "x".repeat(100_000) + "€".repeat(100_000) + "😀".repeat(50_000));
    }

    @Test
    void everyNumberHasTheSameDigits() {
        for (long value : new long[] {0, -1, 9, 10, 99, 100, Long.MAX_VALUE, Long.MIN_VALUE, Integer.MIN_VALUE})
            same(Schema.INT64_SCHEMA, value);
        for (int power = 0; power < 19; power++) {
            long value = (long) Math.pow(10, power);
            for (long near = value - 1; near <= value + 1; near++) {
                same(Schema.INT64_SCHEMA, near);
                same(Schema.INT64_SCHEMA, -near);
            }
        }
        for (double value : new double[] {0, 1e300, 5e-324, 0.1, Double.NaN, 1 / 0.0, -1 / 0.0}) {
            same(Schema.FLOAT64_SCHEMA, value);
            same(Schema.FLOAT32_SCHEMA, (float) value);
        }
    }

    @Test
    void negativeZeroIsAText() {
        assertEquals("\"-0.0\"", new String(writer(true).write(Schema.FLOAT64_SCHEMA, -0.0), UTF_8));
        assertEquals("\"-0.0\"", new String(writer(true).write(Schema.FLOAT32_SCHEMA, -0.0f), UTF_8));
    }

    @Test
    void whatItHasNoFormOfIsConnects() {
        same(Decimal.schema(2), new java.math.BigDecimal("12.34"));
        same(Timestamp.SCHEMA, new java.util.Date(1_700_000_000_123L));
        same(SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.STRING_SCHEMA).build(), Map.of(1, "a"));
        same(Schema.BYTES_SCHEMA, ByteBuffer.wrap(new byte[] {1, 2, 3, -1}));
    }

    @Test
    void whatConnectRefusesIsRefused() {
        assertThrows(DataException.class, () -> writer(true).write(Schema.STRING_SCHEMA, null));
        assertThrows(DataException.class, () -> writer(true).write(Schema.INT32_SCHEMA, "x"));
        Schema one = SchemaBuilder.struct().field("a", Schema.STRING_SCHEMA).build();
        Schema other = SchemaBuilder.struct().field("b", Schema.STRING_SCHEMA).build();
        assertThrows(DataException.class, () -> writer(true).write(one, new Struct(other).put("b", "x")));
    }

    @Test
    void nullIsNullWhateverTheDefaultIs() {
        Schema text = SchemaBuilder.string().optional().defaultValue("d").build();
        Schema row = SchemaBuilder.struct().field("a", text).build();
        same(row, new Struct(row).put("a", null));
        assertEquals("{\"a\":null}", new String(writer(true).write(row, new Struct(row).put("a", null)), UTF_8));
    }

    @Test
    void anyStructIsWrittenAsConnectDoes() {
        Random random = new Random(23);
        for (int schemas = 0; schemas < 300; schemas++) {
            Schema schema = struct(random, 3);
            JsonWriter writer = writer(true);
            for (int rows = 0; rows < 5; rows++) same(writer, schema, value(random, schema));
        }
    }

    @Test
    void anEqualSchemaOfAnotherObjectIsAsGood() {
        Schema schema = SchemaBuilder.struct().field("a", Schema.STRING_SCHEMA).build();
        Schema equal = SchemaBuilder.struct().field("a", Schema.STRING_SCHEMA).build();
        same(schema, new Struct(equal).put("a", "x"));
    }

    @Test
    void ofAChangeOnlyWhatIsReadIsWrittenUnlessAllIsWanted() {
        Schema row = SchemaBuilder.struct()
                .optional()
                .field("source", Schema.STRING_SCHEMA)
                .field("ts_ms", Schema.INT64_SCHEMA)
                .build();
        Schema source = SchemaBuilder.struct()
                .field("version", Schema.STRING_SCHEMA)
                .field("schema", Schema.STRING_SCHEMA)
                .field("table", Schema.STRING_SCHEMA)
                .build();
        Schema change = SchemaBuilder.struct()
                .field("before", row)
                .field("after", row)
                .field("source", source)
                .field("op", Schema.STRING_SCHEMA)
                .field("ts_ms", Schema.INT64_SCHEMA)
                .field("ts_us", Schema.INT64_SCHEMA)
                .build();
        Struct value = new Struct(change)
                .put("after", new Struct(row).put("source", "a").put("ts_ms", 1L))
                .put(
                        "source",
                        new Struct(source)
                                .put("version", "3")
                                .put("schema", "s")
                                .put("table", "t"))
                .put("op", "c")
                .put("ts_ms", 2L)
                .put("ts_us", 3L);
        same(change, value);
        assertEquals(
                "{\"before\":null,\"after\":{\"source\":\"a\",\"ts_ms\":1},\"source\":{\"schema\":\"s\",\"table\":\"t\"},"
                        + "\"op\":\"c\",\"ts_us\":3}",
                new String(writer(false).write(change, value), UTF_8));
    }

    private static Schema struct(Random random, int depth) {
        SchemaBuilder builder = SchemaBuilder.struct();
        int fields = random.nextInt(6);
        for (int i = 0; i < fields; i++) builder.field(word(random) + i, any(random, depth));
        return random.nextBoolean() ? builder.optional().build() : builder.build();
    }

    private static Schema any(Random random, int depth) {
        int kind = random.nextInt(depth > 0 ? 12 : 9);
        if (kind == 9) return struct(random, depth - 1);
        if (kind == 10)
            return SchemaBuilder.array(any(random, depth - 1)).optional().build();
        if (kind == 11)
            return SchemaBuilder.map(Schema.STRING_SCHEMA, any(random, depth - 1))
                    .build();
        SchemaBuilder builder = SchemaBuilder.type(SIMPLE[kind]);
        return random.nextBoolean() ? builder.optional().build() : builder.build();
    }

    private static Object value(Random random, Schema schema) {
        if (schema.isOptional() && random.nextInt(4) == 0 && schema.type() != Schema.Type.STRUCT) return null;
        return switch (schema.type()) {
            case INT8 -> (byte) random.nextInt();
            case INT16 -> (short) random.nextInt();
            case INT32 -> random.nextInt();
            case INT64 -> random.nextLong() >> random.nextInt(64);
            case FLOAT32 -> Float.intBitsToFloat(random.nextInt());
            case FLOAT64 -> Double.longBitsToDouble(random.nextLong());
            case BOOLEAN -> random.nextBoolean();
            case STRING -> word(random);
            case BYTES -> word(random).getBytes(UTF_8);
            case ARRAY -> list(random, schema.valueSchema());
            case MAP -> map(random, schema.valueSchema());
            case STRUCT -> row(random, schema);
        };
    }

    private static List<Object> list(Random random, Schema schema) {
        List<Object> values = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) values.add(value(random, schema));
        return values;
    }

    private static Map<String, Object> map(Random random, Schema schema) {
        Map<String, Object> values = new LinkedHashMap<>();
        for (int i = random.nextInt(4); i > 0; i--) values.put(word(random), value(random, schema));
        return values;
    }

    private static Struct row(Random random, Schema schema) {
        Struct row = new Struct(schema);
        for (Field field : schema.fields()) row.put(field, value(random, field.schema()));
        return row;
    }

    private static String word(Random random) {
        StringBuilder word = new StringBuilder();
        for (int i = random.nextInt(12); i > 0; i--) {
            int point = random.nextInt(random.nextInt(3) == 0 ? 0x11000 : 0x80);
            if (point < 0xD800 || point > 0xDFFF) word.appendCodePoint(point);
        }
        return word.toString();
    }
}
