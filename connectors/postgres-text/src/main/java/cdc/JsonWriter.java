package cdc;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Base64;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.json.JsonConverter;

/**
 * What Connect's JsonConverter writes without schemas, byte for byte but for -0.0, straight from the values: no tree of nodes, no
 * comparison of schemas with each message, names of fields as bytes that are made once. What it does not know it
 * leaves to that. For one thread at a time, as a task's converters are.
 */
final class JsonWriter {
    /** JsonConverter has forms of its own for these. */
    private static final Set<String> LOGICAL =
            Set.of(Decimal.LOGICAL_NAME, Date.LOGICAL_NAME, Time.LOGICAL_NAME, Timestamp.LOGICAL_NAME);

    /** Fields of a change, and of its source, that ClickHouse's tables read. */
    private static final Set<String> READ = Set.of("before", "after", "source", "op", "ts_us");

    private static final Set<String> READ_OF_SOURCE =
            Set.of("schema", "table", "sequence", "snapshot", "ts_us", "txId");

    /** Schemas come and go with changes of tables; more than there are tables is a leak. */
    private static final int SHAPES = 20_000;

    private static final int KEPT_BYTES = 1 << 20;
    private static final byte[] HEX = "0123456789ABCDEF".getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);

    private enum Kind {
        INTEGER,
        FLOAT32,
        FLOAT64,
        BOOLEAN,
        STRING,
        BYTES,
        ARRAY,
        MAP,
        STRUCT,
        OTHER
    }

    /** Thrown where a value is larger than it may be: without a trace, which nobody reads. */
    private static final class TooLarge extends RuntimeException {
        private static final long serialVersionUID = 1;

        TooLarge() {
            super(null, null, false, false);
        }
    }

    /** How values of a schema are written. */
    private static final class Shape {
        final Schema schema;
        final Kind kind;
        /** Of a struct: those that are written, and <code>,"name":</code> of each. */
        Field[] fields = {};

        byte[][] names = {};
        Shape[] shapes = {};
        /** Whether a field has a default, which must not stand for NULL. */
        boolean[] defaults = {};
        /** Of an array's or a map's values. */
        Shape values;
        /** The last schema that was seen to be equal to this one. */
        Schema equal;

        Shape(Schema schema, Kind kind) {
            this.schema = schema;
            this.kind = kind;
            this.equal = schema;
        }
    }

    private final JsonConverter others;
    private final long maxBytes;
    private final boolean isWhole;
    private final Map<Schema, Shape> shapes = new IdentityHashMap<>();
    private byte[] bytes = new byte[4096];
    private int length;

    /**
     * @param isWhole changes with all their fields, not only those that are read
     */
    JsonWriter(JsonConverter others, long maxBytes, boolean isWhole) {
        this.others = others;
        this.maxBytes = maxBytes;
        this.isWhole = isWhole;
    }

    /** Null where it would be larger than allowed. */
    byte[] write(Schema schema, Object value) {
        length = 0;
        try {
            write(shapeOf(schema), value);
            return Arrays.copyOf(bytes, length);
        } catch (TooLarge larger) {
            return null;
        } catch (ClassCastException other) {
            // It says of which field, and what was expected.
            return others.fromConnectData("", schema, value);
        } finally {
            if (bytes.length > KEPT_BYTES) bytes = new byte[4096];
        }
    }

    private Shape shapeOf(Schema schema) {
        Shape known = shapes.get(schema);
        if (known != null) return known;
        if (shapes.size() >= SHAPES) shapes.clear();
        Shape made = make(schema, isWhole ? null : readOf(schema));
        shapes.put(schema, made);
        return made;
    }

    /** The fields of a change that are written; null for anything else. */
    private static Set<String> readOf(Schema schema) {
        boolean isChange = schema.type() == Schema.Type.STRUCT
                && schema.field("op") != null
                && schema.field("source") != null
                && schema.field("ts_us") != null;
        return isChange ? READ : null;
    }

    private static Shape make(Schema schema, Set<String> read) {
        Shape shape = new Shape(schema, kindOf(schema));
        if (shape.kind == Kind.ARRAY || shape.kind == Kind.MAP) shape.values = make(schema.valueSchema(), null);
        if (shape.kind != Kind.STRUCT) return shape;
        List<Field> fields = schema.fields().stream()
                .filter(field -> read == null || read.contains(field.name()))
                .toList();
        shape.fields = fields.toArray(new Field[0]);
        shape.names = new byte[shape.fields.length][];
        shape.shapes = new Shape[shape.fields.length];
        shape.defaults = new boolean[shape.fields.length];
        for (int i = 0; i < shape.fields.length; i++) {
            Field field = shape.fields[i];
            boolean isSource = read == READ && field.name().equals("source");
            shape.names[i] = nameBytes(field.name(), i > 0);
            shape.shapes[i] = make(field.schema(), isSource ? READ_OF_SOURCE : null);
            shape.defaults[i] = field.schema().defaultValue() != null;
        }
        return shape;
    }

    private static byte[] nameBytes(String name, boolean follows) {
        JsonWriter writer = new JsonWriter(null, Integer.MAX_VALUE, true);
        if (follows) writer.put(',');
        writer.text(name);
        writer.put(':');
        return Arrays.copyOf(writer.bytes, writer.length);
    }

    private static Kind kindOf(Schema schema) {
        if (schema.name() != null && LOGICAL.contains(schema.name())) return Kind.OTHER;
        return switch (schema.type()) {
            case INT8, INT16, INT32, INT64 -> Kind.INTEGER;
            case FLOAT32 -> Kind.FLOAT32;
            case FLOAT64 -> Kind.FLOAT64;
            case BOOLEAN -> Kind.BOOLEAN;
            case STRING -> Kind.STRING;
            case BYTES -> Kind.BYTES;
            case ARRAY -> Kind.ARRAY;
            case MAP -> schema.keySchema().type() == Schema.Type.STRING ? Kind.MAP : Kind.OTHER;
            case STRUCT -> Kind.STRUCT;
        };
    }

    private void write(Shape shape, Object value) {
        if (value == null) {
            // That refuses one where there must be none.
            if (!shape.schema.isOptional()) left(shape, null);
            else put(NULL);
            return;
        }
        switch (shape.kind) {
            case INTEGER -> integer(((Number) value).longValue());
            case FLOAT32 -> real((Float) value, ((Float) value).doubleValue());
            case FLOAT64 -> real((Double) value, (Double) value);
            case BOOLEAN -> put((Boolean) value ? TRUE : FALSE);
            case STRING -> text(value.toString());
            case BYTES -> base64(value instanceof ByteBuffer buffer ? buffer.array() : (byte[]) value);
            case ARRAY -> array(shape.values, (List<?>) value);
            case MAP -> map(shape.values, (Map<?, ?>) value);
            case STRUCT -> struct(shape, (Struct) value);
            case OTHER -> left(shape, value);
        }
    }

    private void left(Shape shape, Object value) {
        put(others.fromConnectData("", shape.schema, value));
    }

    private void struct(Shape shape, Struct struct) {
        Schema schema = struct.schema();
        if (schema != shape.equal) {
            // JsonConverter says what does not fit.
            if (!schema.equals(shape.schema)) left(shape, struct);
            shape.equal = schema;
        }
        put('{');
        for (int i = 0; i < shape.fields.length; i++) {
            Field field = shape.fields[i];
            put(shape.names[i]);
            Object value = shape.defaults[i] ? struct.getWithoutDefault(field.name()) : struct.get(field);
            write(shape.shapes[i], value);
        }
        put('}');
    }

    private void array(Shape shape, List<?> values) {
        put('[');
        boolean follows = false;
        for (Object value : values) {
            if (follows) put(',');
            follows = true;
            write(shape, value);
        }
        put(']');
    }

    private void map(Shape shape, Map<?, ?> values) {
        put('{');
        boolean follows = false;
        for (Map.Entry<?, ?> entry : values.entrySet()) {
            if (follows) put(',');
            follows = true;
            text((String) entry.getKey());
            put(':');
            write(shape, entry.getValue());
        }
        put('}');
    }

    private void base64(byte[] value) {
        put('"');
        put(Base64.getEncoder().encode(value));
        put('"');
    }

    /**
     * Of what is no number JSON has only the text. So has it of -0.0, which readers take for the integer -0, and that is
     * 0; JsonConverter leaves it to them.
     */
    private void real(Number value, double number) {
        boolean isText = Double.isNaN(number) || Double.isInfinite(number) || number == 0 && 1 / number < 0;
        if (isText) put('"');
        ascii(value.toString());
        if (isText) put('"');
    }

    private void integer(long value) {
        if (value == Long.MIN_VALUE) {
            ascii(Long.toString(value));
            return;
        }
        room(20);
        long rest = value;
        if (rest < 0) {
            bytes[length++] = '-';
            rest = -rest;
        }
        int digits = 1;
        for (long power = 10; digits < 19 && rest >= power; power *= 10) digits++;
        for (int at = length + digits - 1; at >= length; at--) {
            bytes[at] = (byte) ('0' + rest % 10);
            rest /= 10;
        }
        length += digits;
    }

    /** With quotes, as Jackson escapes it. */
    private void text(String value) {
        int size = value.length();
        room(2L + 6L * Math.min(size, 64));
        bytes[length++] = '"';
        for (int i = 0; i < size; i++) {
            char sign = value.charAt(i);
            // As much as the longest escape; of long texts not six bytes a sign at once.
            if (length + 8 > bytes.length) room(8L + size - i);
            if (sign < 0x80) {
                if (sign >= 0x20 && sign != '"' && sign != '\\') bytes[length++] = (byte) sign;
                else escape(sign);
            } else if (sign < 0x800) {
                bytes[length++] = (byte) (0xC0 | sign >> 6);
                bytes[length++] = (byte) (0x80 | sign & 0x3F);
            } else if (!Character.isSurrogate(sign)) {
                bytes[length++] = (byte) (0xE0 | sign >> 12);
                bytes[length++] = (byte) (0x80 | sign >> 6 & 0x3F);
                bytes[length++] = (byte) (0x80 | sign & 0x3F);
            } else {
                bytes[length++] = '\\';
                hex(sign);
            }
        }
        put('"');
    }

    private void escape(char sign) {
        bytes[length++] = '\\';
        switch (sign) {
            case '"', '\\' -> bytes[length++] = (byte) sign;
            case '\b' -> bytes[length++] = 'b';
            case '\t' -> bytes[length++] = 't';
            case '\n' -> bytes[length++] = 'n';
            case '\f' -> bytes[length++] = 'f';
            case '\r' -> bytes[length++] = 'r';
            default -> hex(sign);
        }
    }

    private void hex(char sign) {
        bytes[length++] = 'u';
        for (int shift = 12; shift >= 0; shift -= 4) bytes[length++] = HEX[sign >> shift & 15];
    }

    private static final byte[] NULL = {'n', 'u', 'l', 'l'};
    private static final byte[] TRUE = {'t', 'r', 'u', 'e'};
    private static final byte[] FALSE = {'f', 'a', 'l', 's', 'e'};

    private void ascii(String value) {
        room(value.length());
        for (int i = 0; i < value.length(); i++) bytes[length++] = (byte) value.charAt(i);
    }

    private void put(char sign) {
        room(1);
        bytes[length++] = (byte) sign;
    }

    private void put(byte[] value) {
        room(value.length);
        System.arraycopy(value, 0, bytes, length, value.length);
        length += value.length;
    }

    /** For so many bytes more. What is larger than allowed takes no more memory than what is. */
    private void room(long more) {
        if (length + more <= bytes.length) return;
        if (length > maxBytes) throw new TooLarge();
        long wanted = Math.max(2L * bytes.length, length + more);
        bytes = Arrays.copyOf(bytes, (int) Math.min(Integer.MAX_VALUE - 16, wanted));
    }
}
