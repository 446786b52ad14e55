package cdc;

import java.util.Map;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;

/**
 * Connect's JSON (see JsonWriter), but for a change that Kafka would refuse as too large: the producer's error ends the
 * task, and so every table, for good. Such a change is sent without its row, and <code>op</code> says
 * so: <code>too large, u, 70000123 bytes</code>. Its key stands in the message's key, by which the row is read
 * from the source.
 *
 * <p><code>max.bytes</code>: how large a value may be; any size where it is absent. <code>message</code>:
 * <code>full</code> for all fields of a change, else those that ClickHouse's tables read.
 */
public final class BoundedJson implements Converter {
    private final JsonConverter json = new JsonConverter();
    private long maxBytes;
    private JsonWriter writer;

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
        json.configure(configs, isKey);
        Object most = configs.get("max.bytes");
        maxBytes = most == null ? Long.MAX_VALUE : Long.parseLong(String.valueOf(most));
        writer = new JsonWriter(json, maxBytes, "full".equals(String.valueOf(configs.get("message"))));
    }

    @Override
    public byte[] fromConnectData(String topic, Headers headers, Schema schema, Object value) {
        return fromConnectData(topic, schema, value);
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        if (schema == null) return json.fromConnectData(topic, null, value);
        byte[] bytes = writer.write(schema, value);
        if (bytes != null && bytes.length <= maxBytes) return bytes;
        // All its JSON could take all the memory that there is, where its texts alone are too long.
        long length = textLength(value);
        if (length <= maxBytes)
            length = bytes != null ? bytes.length : json.fromConnectData(topic, schema, value).length;
        return writer.write(schema, withoutRow((Struct) value, length));
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
        return json.toConnectData(topic, value);
    }

    /** Characters of all texts, those of structs in it, too: each takes a byte at least. */
    private static long textLength(Object value) {
        if (value instanceof String text) return text.length();
        if (!(value instanceof Struct struct)) return 0;
        long length = 0;
        for (Field field : struct.schema().fields()) length += textLength(struct.get(field));
        return length;
    }

    private static Struct withoutRow(Struct change, long length) {
        Struct slim = new Struct(change.schema());
        for (Field field : change.schema().fields()) {
            String name = field.name();
            if (name.equals("op")) slim.put(field, "too large, " + change.getString("op") + ", " + length + " bytes");
            else if (!name.equals("before") && !name.equals("after")) slim.put(field, change.get(field));
        }
        return slim;
    }
}
